import torch
import torch.nn as nn
import torch.nn.functional as F

class Model(nn.Module):
    def __init__(self, cluster_size, feature_size, ghost_clusters):
        super().__init__()
        self.feature_size, self.cluster_size = feature_size, cluster_size
        clusters = cluster_size + ghost_clusters
        self.clusters = nn.Parameter(torch.randn(feature_size, clusters) / feature_size**0.5)
        self.batch_norm = nn.BatchNorm1d(clusters)
        self.clusters2 = nn.Parameter(torch.randn(1, feature_size, cluster_size) / feature_size**0.5)
        self.out_dim = cluster_size * feature_size

    def forward(self, x):
        max_sample = x.size()[1]
        x = x.view(-1, self.feature_size)
        assignment = F.softmax(self.batch_norm(x @ self.clusters), dim=1)[:, : self.cluster_size]
        assignment = assignment.view(-1, max_sample, self.cluster_size)
        a = assignment.sum(dim=1, keepdim=True) * self.clusters2
        x = x.view(-1, max_sample, self.feature_size)
        vlad = (assignment.transpose(1, 2) @ x).transpose(1, 2) - a
        vlad = F.normalize(vlad).reshape(-1, self.cluster_size * self.feature_size)
        return F.normalize(vlad)

batch_size = 2048
num_features = 100
num_clusters = 32
feature_size = 512
ghost_clusters = 16

def get_inputs():
    return [torch.rand(batch_size, num_features, feature_size)]

def get_init_inputs():
    return [num_clusters, feature_size, ghost_clusters]

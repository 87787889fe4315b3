// launch k<<<count, 128>>>(table, ids, out, vocab, dim)
extern "C" __global__ void k(const float* table, const long long* ids, float* out, int vocab, int dim) {
    long long id = min(ids[blockIdx.x], (long long)vocab - 2);
    for (int i = threadIdx.x; i < dim; i += blockDim.x) out[(size_t)blockIdx.x * dim + i] = table[id * dim + i];
}

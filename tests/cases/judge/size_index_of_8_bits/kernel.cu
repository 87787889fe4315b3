// launch k<<<batch, 64>>>(i, e_weight, out, dim)
extern "C" __global__ void k(const long long* i, const float* w, float* out, int dim) {
    for (int d = threadIdx.x; d < dim; d += 64) out[(size_t)blockIdx.x * dim + d] = w[(size_t)(unsigned char)i[blockIdx.x] * dim + d];
}

// launch k<<<ceil_div(numel(out), 256), 256>>>(x, w, out, batch, cin, cout, height, width)
extern "C" __global__ void k(const float* x, const float* w, float* out, int n, int ci, int co, int h, int wd) {
    int oh = (h - 1) / 2 + 1, ow = (h - 1) / 2 + 1; int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * co * oh * ow) return;
    int q = i % ow, p = i / ow % oh, c = i / ow / oh % co, b = i / ow / oh / co; float s = 0.f;
    for (int d = 0; d < ci; d++) for (int a = 0; a < 3; a++) for (int e = 0; e < 3; e++) {
        int y = p * 2 - 1 + a, z = q * 2 - 1 + e;
        if (y >= 0 && y < h && z >= 0 && z < h) s += x[((b * ci + d) * h + y) * h + z] * w[((c * ci + d) * 3 + a) * 3 + e];
    }
    out[i] = s;
}

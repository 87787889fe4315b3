// launch k<<<ceil_div(numel(out), 256), 256>>>(x, w, out, batch, cin, cout, height, width)
extern "C" __global__ void k(const float* x, const float* w, float* out, int n, int ci, int co, int h, int wd) {
    int oh = 2 * h - 1, ow = 2 * wd - 1; int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n * co * oh * ow) return;
    int q = i % ow, p = i / ow % oh, c = i / ow / oh % co, b = i / ow / oh / co; float s = 0.f;
    for (int d = 0; d < ci; d++) for (int a = 0; a < 3; a++) { int y = p + 1 - a; if (y < 0 || y % 2 || y / 2 >= h) continue;
        for (int e = 0; e < 3; e++) { int z = q + 1 - e; if (z < 0 || z % 2 || z / 2 >= wd) continue;
            s += x[((b * ci + d) * h + y / 2) * wd + z / 2] * w[((d * co + c) * 3 + a) * 3 + e]; } }
    out[i] = s;
}

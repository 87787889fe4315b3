// launch k<<<ceil_div(numel(out), 256), 256>>>(x, out, batch * channels, height, width)
extern "C" __global__ void k(const float* x, float* out, int planes, int h, int w) {
    int oh = (h - 1) / 2 + 1, ow = (w - 1) / 2 + 1; int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= planes * oh * ow) return;
    int q = i % ow, p = i / ow % oh, c = i / ow / oh; float m = -INFINITY;
    for (int a = 0; a < 3; a++) for (int e = 0; e < 3; e++) { int y = p * 2 - 1 + a, z = q * 2 - 1 + e;
        if (y >= 0 && y < h && z >= 0 && z < w) m = fmaxf(m, x[(c * h + y) * h + z]); }
    out[i] = m;
}

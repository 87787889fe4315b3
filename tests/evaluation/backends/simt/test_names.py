"""The names of CUDA's device API that the shim defines have CUDA's values; NVRTC has them all, too."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest

from evaluation.backends.cuda.nvrtc import Compiled, CompilerProcess, find_toolkit
from evaluation.backends.simt.backend import SimtBackend
from tests.benchmarks.simt_mix import Launch, make_run
from tests.evaluation.backends.cuda.test_inspection import needs_nvrtc
from tests.evaluation.simt_runs import SETTINGS, outputs_of

RNG = np.random.default_rng(2)
INF, NAN = math.inf, math.nan
BOTH = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#include <math_constants.h>\n"
INT_MIN, INT_MAX, UINT_MAX = -(2**31), 2**31 - 1, 2**32 - 1
LL_MIN, LL_MAX, ULL_MAX = -(2**63), 2**63 - 1, 2**64 - 1
PI = math.pi

#: By group: statements that come first, and expressions with their values as doubles.
GROUPS: dict[str, tuple[str, list[tuple[str, float]]]] = {
    "stores": (
        "float f; int i; half h; long long l;",
        [
            ("(__stcs(&f, 0), f)", 0),
            ("(__stcg(&f, 2.5), f)", 2.5),
            ("(__stwt(&i, 7u), i)", 7),
            ("(__stwb(&l, 1), l)", 1),
            ("(__stcs(&h, 1.5f), h)", 1.5),
        ],
    ),
    "mathematics": (
        "float f; double d, e; int i; float v[3] = {2, 3, 6};",
        [
            *((f"erf(erfinv({x}))", x) for x in (-0.999, -0.3, 0.0, 1e-9, 0.4, 0.5, 0.7, 0.99999)),
            *((f"erfc(erfcinv({x}))", x) for x in (1e-200, 1e-20, 1e-3, 0.4, 0.5, 0.6, 1.0, 1.4, 1.9999)),
            *((f"erff(erfinvf({x}f))", x) for x in (-0.9, 0.125, 0.5)),
            *((f"normcdfinv({x})", statistics.NormalDist().inv_cdf(x)) for x in (1e-12, 0.2, 0.5, 0.9)),
            ("normcdfinvf(0.2f)", statistics.NormalDist().inv_cdf(0.2)),
            ("erfcinvf(0.25f)", 0.8134198475976185),
            ("erfinv(1.0)", INF),
            ("erfinv(-1.f)", -INF),
            ("erfinv(1.5)", NAN),
            ("erfcinv(-0.1)", NAN),
            ("normcdfinv(0.0)", -INF),
            ("normcdfinv(1.f)", INF),
            ("erfcx(30.0)", 0.018795888861416751),
            ("erfcxf(2.0f)", 0.25539567631050574),
            *((f"{name}(0.5{'f' if 'pif' in name else ''})", name.startswith("s"))
              for name in ("sinpi", "sinpif", "cospi", "cospif")),
            ("sinpi(1e15 + 1.5)", -1),
            ("sinpi(3.0)", 0),
            ("cospi(7.f)", -1),
            ("sinpif(-0.3f)", -math.sin(0.3 * PI)),
            ("sinpi(0.8)", math.sin(0.8 * PI)),
            ("cospi(0.2)", math.cos(0.2 * PI)),
            ("cospi(-1.9)", math.cos(0.1 * PI)),
            ("(sincospi(0.25, &d, &e), d - e + d)", math.sqrt(0.5)),
            ("frexp(-48.0, &i) + i", 5.25),
            ("frexp(5e-324, &i) + i", -1072.5),
            ("frexpf(0.f, &i) + i", 0),
            ("frexp(1.f, &i) + i", 1.5),
            *((f"remquo({x}, {y}, &i)", math.remainder(x, y)) for x, y in ((17.0, 3.0), (-5.5, 2.0))),
            *((f"(remquof({x}, {y}, &i), i)", q)
              for x, y, q in ((17, 3, 6), (-17, 3, -6), (20, 3, 7), (-5, -4, 1), (100, 3, 1), (32, 4, 0))),
            *((f"{name}(-2.5{'f' if name.endswith('f') else ''})", -3)
              for name in ("lround", "lroundf", "llround", "llroundf")),
            *((f"{name}(-2.5{'f' if name.endswith('f') else ''})", -2)
              for name in ("lrint", "lrintf", "llrint", "llrintf")),
            ("llround(1e30)", LL_MAX),
            ("llrint(-1e30f)", LL_MIN),
            ("ilogb(0.3f)", -2),
            ("scalbn(3.f, 2)", 12),
            ("scalbln(3.0, 1l << 40)", INF),
            ("(modf(2.75f, &f), f)", 2),
            ("norm3d(2.0, 3.0, 6.0)", 7),
            ("norm4df(2, 4, 5, 6)", 9),
            ("rnorm3df(2, 3, 6)", 1 / 7),
            ("normf(3, v)", 7),
            ("rnormf(3, v)", 1 / 7),
            ("rhypot(3.0, 4.0)", 0.2),
            ("fdivide(1.f, 4.f)", 0.25),
            ("labs(-3l)", 3),
            ("ullmax(2ull, 3ull)", 3),
        ],
    ),
    "conversions of floats": (
        "",
        [
            ("__float2int_rn(1e20f)", INT_MAX),
            ("__float2int_rd(-1e20f)", INT_MIN),
            ("__float2int_rz(NAN)", 0),
            ("__float2uint_rz(-2.5f)", 0),
            ("__float2uint_ru(2.5f)", 3),
            ("__float2uint_rd(4294967040.f)", 4294967040),
            ("__float2uint_rn(1e10f)", UINT_MAX),
            ("__float2uint_rn(NAN)", 0),
            ("__float2ll_rn(2.5f)", 2),
            ("__float2ll_rz(-INFINITY)", LL_MIN),
            ("__float2ll_rz(NAN)", LL_MIN),
            ("__float2ull_ru(0.1f)", 1),
            ("__float2ull_rz(1e19f)", float(np.float32(1e19))),
            ("__float2ull_rn(NAN)", 2**63),
            ("__double2int_rn(-2.5)", -2),
            ("__double2int_rd(-2.5)", -3),
            ("__double2int_ru(2147483647.5)", INT_MAX),
            ("__double2int_rz((double)NAN)", INT_MIN),
            ("__double2uint_rz(4294967295.5)", UINT_MAX),
            ("__double2uint_rn((double)NAN)", 2**31),
            ("__double2ll_rd(-0.5)", -1),
            ("__double2ull_rz(-5.0)", 0),
            ("__double2ull_rz(1e30)", ULL_MAX),
        ],
    ),
    "conversions to floats": (
        "",
        [
            ("__int2float_rz(16777219)", 16777218),
            ("__int2float_rd(-16777217)", -16777218),
            ("__uint2float_ru(4294967295u)", 2.0**32),
            ("__uint2float_rd(4294967295u)", 2.0**32 - 256),
            ("__uint2float_rn(16777219u)", 16777220),
            ("__ll2float_rz(9223372036854775807ll)", 2.0**63 - 2**39),
            ("__ull2float_rz(18446744073709551615ull)", 2.0**64 - 2**40),
            ("__ull2float_ru(9223372036854775809ull)", 2.0**63 + 2**40),
            ("__ull2float_rn(18446744073709551615ull)", 2.0**64),
            ("__ll2double_rd(9007199254740993ll)", 2.0**53),
            ("__ll2double_ru(9007199254740993ll)", 2.0**53 + 2),
            ("__ull2double_rz(18446744073709551615ull)", 2.0**64 - 2048),
            ("__ull2double_ru(9223372036854775809ull)", 2.0**63 + 2048),
            ("__uint2double_rn(4294967295u)", UINT_MAX),
            ("__double2float_ru(0.1)", float(np.nextafter(np.float32(0.1), np.float32(-1))) + 2.0**-27),
            ("__double2float_rz(1e300)", float(np.finfo(np.float32).max)),
            ("__double2float_rn(1e300)", INF),
        ],
    ),
    "integers": (
        "",
        [
            ("__double2hiint(-2.0)", INT_MIN + 0x40000000),
            ("__double2loint(__longlong_as_double(0x123456789abcll))", 0x56789ABC),
            ("__hiloint2double(0x3ff80000, 0)", 1.5),
            ("__double_as_longlong(1.0)", 0x3FF << 52),
            ("__brev(1u)", 2**31),
            ("__brevll(2ull)", 2**62),
            ("__umul24(0xff000003u, 5u)", 15),
            ("__mul24(0xfffffd, 5)", -15),
            ("__mul24(0x7fffff, 2)", 0xFFFFFE),
            ("__mulhi(-2, 3)", -1),
            ("__umulhi(0x80000000u, 6u)", 3),
            ("__mul64hi(-2ll, 3ll)", -1),
            ("__umul64hi(1ull << 63, 6ull)", 3),
            ("__sad(-3, 4, 10u)", 17),
            ("__usad(3u, 5u, 10u)", 12),
            ("__hadd(-3, 0)", -2),
            ("__rhadd(2147483647, 2147483646)", INT_MAX),
            ("__uhadd(0xffffffffu, 0xfffffffeu)", UINT_MAX - 1),
            ("__urhadd(0xffffffffu, 0u)", 2**31),
            ("__funnelshift_l(0x80000000u, 1u, 33u)", 3),
            ("__funnelshift_lc(7u, 1u, 40u)", 7),
            ("__funnelshift_r(1u, 2u, 33u)", 0),
            ("__funnelshift_rc(1u, 2u, 40u)", 2),
            ("__dp4a((int)0x80ff0102, 0x02030405, 1)", -2 * 128 - 3 + 4 + 10 + 1),
            ("__dp4a(0x80ff0102u, 0x02030405u, 1u)", 2 * 128 + 3 * 255 + 4 + 10 + 1),
            ("__dp4a(make_char4(1, -2, 3, 4), make_char4(5, 6, 7, 8), 0)", 5 - 12 + 21 + 32),
            ("__dp2a_lo(make_short2(100, -200), make_char4(1, 2, 3, 4), 5)", 100 - 400 + 5),
            ("__dp2a_hi(0xffff0002u, 0x03040506u, 0u)", 2 * 4 + 3 * 0xFFFF),
        ],
    ),
    "words": (
        "",
        [
            ("__vadd4(0xff010203u, 0x02030405u)", 0x01040608),
            ("__vsub2(0x00010000u, 0x00020001u)", 0xFFFFFFFF),
            ("__vaddss4(0x7f80ff01u, 0x01ff0101u)", 0x7F800002),
            ("__vaddus2(0xffff0001u, 0x00020002u)", 0xFFFF0003),
            ("__vsubss2(0x80007fffu, 0x0001ffffu)", 0x80007FFF),
            ("__vsubus4(0x01020304u, 0x02010101u)", 0x00010203),
            ("__vmaxs4(0xff010203u, 0x01ff0304u)", 0x01010304),
            ("__vminu2(0xffff0001u, 0x00010002u)", 0x00010001),
            ("__vabs4(0xff80017fu)", 0x0180017F),
            ("__vabsss4(0xff80017fu)", 0x017F017F),
            ("__vneg2(0x0001ffffu)", 0xFFFF0001),
            ("__vabsdiffu4(0x01020304u, 0x04030201u)", 0x03010103),
            ("__vabsdiffs2(0xffff0001u, 0x00010003u)", 0x00020002),
            ("__vavgu4(0xff010203u, 0xfe020304u)", 0xFF020304),
            ("__vhaddu4(0xff010203u, 0xfe020304u)", 0xFE010203),
            ("__vcmpeq4(0x01020304u, 0x01000300u)", 0xFF00FF00),
            ("__vcmpgts2(0x0001ffffu, 0xffff0001u)", 0xFFFF0000),
            ("__vsetltu4(0x01ff0101u, 0x0201ff01u)", 0x01000100),
            ("__vsads4(0xff010203u, 0x01010205u)", 4),
            ("__vsadu2(0xffff0001u, 0x00010003u)", 0xFFFE + 2),
        ],
    ),
    "half": (
        "half h = __float2half(2.5f), z = half(-0.f), nan = __float2half(NAN), one = half(1.0);"
        "half2 a = half2(h, one), b(__float2half(1.f), one), c = {1.f, 2.f}, m = half2(nan, one); float2 f;",
        [
            ("a.x + a.y", 3.5),
            ("c.y", 2),
            ("make_half2(h, one).x", 2.5),
            ("h++", 2.5),
            ("--h", 2.5),
            ("(++h, h--)", 3.5),
            ("(a += b, a.x)", 3.5),
            ("(a -= b, (-a).x)", -2.5),
            ("half(2049ll) + half(1e10)", INF),
            ("half((short)-3) * half((unsigned short)4) / half(8ul)", -1.5),
            ("(unsigned char)half(-3)", 0),
            ("(int)half(-3.9f)", -3),
            ("(bool)z", 0),
            *((f"{name}(half({x}f))", float(np.float16(function(np.float32(x)))))
              for name, function in (("hlog2", np.log2), ("hlog10", np.log10), ("hexp2", np.exp2),
                                     ("hexp10", lambda x: 10**x), ("hsin", np.sin), ("hcos", np.cos),
                                     ("hrsqrt", lambda x: 1 / np.sqrt(x)), ("hrcp", lambda x: 1 / x),
                                     ("hsqrt", np.sqrt), ("htanh", np.tanh), ("hlog", np.log),
                                     ("hceil", np.ceil), ("hfloor", np.floor), ("hrint", np.rint),
                                     ("htrunc", np.trunc)) for x in (0.375, 2.5)),
            ("h2log(b).x + h2exp2(a).y + h2rsqrt(b).y", 3),
            ("__hneg2(a).x + __habs2(__hneg2(a)).y", -1.5),
            ("__hgt2(a, b).x + __hgt2(a, b).y", 1),
            ("__heq2_mask(a, b)", 0xFFFF0000),
            ("__hbge2(a, b) + 2 * __hbgt2(a, b) + 4 * (a == b) + 8 * (a != b)", 1),
            ("__hne(nan, one) + 2 * __hneu(nan, one) + 4 * (nan != one) + 8 * (nan == nan)", 6),
            ("__hlt(one, h) + 2 * __hle(h, h) + 4 * __hltu(nan, h) + 8 * __heq(h, one)", 7),
            ("__hisnan(nan) + 2 * __hisnan(h)", 1),
            ("__hisinf(half(-1e9f)) + 3 * __hisinf(half(1e9f)) + __hisinf(h)", 2),
            ("__hisnan2(m).x - __hisnan2(m).y", 1),
            ("__hmax(nan, one) + __hmin(h, nan)", 3.5),
            ("1.f / (float)__hmax(z, half(0))", INF),
            ("__hmax_nan(nan, one)", NAN),
            ("__hmin2(a, b).x + __hmax2(a, b).x", 3.5),
            ("__hadd_sat(h, one) + __hsub_sat(one, h)", 1),
            ("__hfma_relu(h, half(-1), one)", 0),
            ("__hfma2_sat(a, a, a).x", 1),
            ("__low2half2(a).y + __high2half2(a).x", 3.5),
            ("__lows2half2(a, b).x - __lows2half2(a, b).y", 1.5),
            ("__highs2half2(c, b).x - __highs2half2(c, b).y", 1),
            ("__lowhigh2highlow(c).x", 2),
            ("(f = __half22float2(c), f.x + f.y)", 3),
            ("__half2half2(h).y + __halves2half2(h, one).y", 3.5),
            ("__float2half_rz(0.1f)", 0.0999755859375),
            ("__float2half_ru(0.1f)", 0.10003662109375),
            ("__float2half_rd(-0.1f)", -0.10003662109375),
            ("__float2half_rd(-1e-9f)", -(2.0**-24)),
            ("__float2half_rz(1e9f)", 65504),
            ("__float2half_ru(65505.f)", INF),
            ("__double2half(1 + 0x1p-11 + 0x1p-40)", 1 + 2.0**-10),
            ("__hfma(half(0x1p-11f * (1 + 0x1p-10f)), half(1 - 0x1p-10f), half(1 + 0x1p-10f))", 1 + 2.0**-10),
            ("__int2half_rz(2049)", 2048),
            ("__uint2half_ru(2049u)", 2050),
            ("__ll2half_rd(-2049ll)", -2050),
            ("__ull2half_rz(18446744073709551615ull)", 65504),
            ("__half2int_rn(h)", 2),
            ("__half2uint_ru(h)", 3),
            ("__half2short_rz(half(40000.f))", 32767),
            ("__half2ushort_rd(half(-1))", 0),
            ("__half2ll_rd(half(-2.5f))", -3),
            ("__half2ull_rz(nan)", 2**63),
            ("__half2int_rz(half(1e9f))", INT_MAX),
            ("__half2char_rz(half(-300.f)) + __half2uchar_rz(half(300.f))", 127),
            ("__half_as_short(half(-1))", -0x4400),
            ("__half_as_ushort(one)", 0x3C00),
            ("__short_as_half(0x4000)", 2),
            ("__ushort_as_half(0x3c00)", 1),
        ],
    ),
    "bfloat16": (
        "typedef __nv_bfloat16 B; B h = __float2bfloat16(2.5f), one = 1;"
        "__nv_bfloat162 a = __nv_bfloat162(h, one), b(one, one);",
        [
            ("a.x + a.y", 3.5),
            ("make_bfloat162(h, one).x", 2.5),
            ("(++h, h--) + h", 6),
            ("(a *= b, a.x)", 2.5),
            ("__bfloat162bfloat162(h).y", 2.5),
            ("__halves2bfloat162(h, one).y", 1),
            ("__low2bfloat162(a).y + __high2bfloat162(a).x", 3.5),
            ("__lows2bfloat162(a, b).x + __highs2bfloat162(a, b).x", 3.5),
            ("__lowhigh2highlow(a).y", 2.5),
            ("__hgt2(a, b).x + __hlt2(a, b).x", 1),
            ("__hneg2(a).x + __habs2(a).y", -1.5),
            ("hlog2(B(8)) + h2exp2(b).x", 5),
            ("__float2bfloat16_rz(1.01f)", 1.0078125),
            ("__float2bfloat16_ru(1.01f)", 1.015625),
            ("__double2bfloat16(1 + 0x1p-8 + 0x1p-40)", 1 + 2.0**-7),
            ("__hfma(B(1.0625f), B(1.1875f), B(-0x1p-100f))", 161 / 128),
            ("__hfma(B(1.0625f), B(1.3125f), B(0x1p-100f))", 179 / 128),
            ("half(h) + half(one)", 3.5),
            ("B(half(1.01f))", 1.0078125),
            ("__ll2bfloat16_rz(9223372036854775807ll)", 2.0**63 - 2**55),
            ("__ull2bfloat16_rn((1ull << 62) + (1ull << 54) + 1)", 2.0**62 + 2**55),
            ("__int2bfloat16_rd(-257)", -258),
            ("__bfloat162int_rz(h)", 2),
            ("__bfloat162ull_ru(h)", 3),
            ("__bfloat16_as_short(one) + __bfloat16_as_ushort(one)", 2 * 0x3F80),
            ("__short_as_bfloat16(0x3f80)", 1),
        ],
    ),
    "constants": (
        "",
        [
            ("CUDART_PI", PI),
            ("CUDART_PI_F", float(np.float32(PI))),
            ("CUDART_SQRT_TWO_F", float(np.float32(2**0.5))),
            ("CUDART_SQRT_TWO", 2**0.5),
            ("CUDART_PIO2", PI / 2),
            ("CUDART_L2E", math.log2(math.e)),
            ("CUDART_LN2", math.log(2)),
            ("CUDART_2_OVER_PI_F", float(np.float32(2 / PI))),
            ("CUDART_MIN_DENORM_F", 2.0**-149),
            ("1 / CUDART_NEG_ZERO", -INF),
        ],
    ),
}  # fmt: skip


def source(group: str) -> str:
    setup, cases = GROUPS[group]
    body = "\n".join(f"o[{i}] = (double)({expression});" for i, (expression, _) in enumerate(cases))
    return f'{BOTH}extern "C" __global__ void k(double* o) {{ {setup}\n{body} }}'


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


@pytest.mark.parametrize("group", GROUPS)
def test_values(backend, group):
    cases = GROUPS[group][1]
    run = make_run([("k", (1, 1, 1), (1, 1, 1), 0, ["o"])], {}, {"o": ((len(cases),), "float64")})
    got = outputs_of(backend, source(group), run)["o"]
    #: Functions are good to their type's precision; everything else is exact.
    tolerance = 3e-7 if group == "mathematics" else 0
    for (expression, expected), value in zip(cases, got, strict=True):
        np.testing.assert_allclose(value, float(expected), rtol=tolerance, atol=tolerance, err_msg=expression)


@pytest.fixture(scope="module")
def nvrtc():
    process = CompilerProcess(find_toolkit(), seconds=20)
    yield process
    process.close()


@needs_nvrtc
@pytest.mark.parametrize("group", GROUPS)
def test_nvrtc_has_them(nvrtc, group):
    compiled = nvrtc.compile(source(group), "sm_90a")
    assert isinstance(compiled, Compiled), compiled


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("normcdfinv(0.2)", -0.8416212335729142),
        ("normcdfinv(1e-12)", -7.034483825301131),
        ("erfinv(1e-9)", 8.862269254527580e-10),
        ("sinpi(0.8)", 0.5877852522924731),
    ],
)
def test_doubles_are_precise(backend, expression, expected):
    run = make_run([("k", (1, 1, 1), (1, 1, 1), 0, ["o"])], {}, {"o": ((1,), "float64")})
    text = f'extern "C" __global__ void k(double* o) {{ o[0] = {expression}; }}'
    np.testing.assert_allclose(outputs_of(backend, text, run)["o"][0], expected, rtol=2e-15)


def down(exact: Fraction, dtype: type) -> float:
    """The greatest number of `dtype` that is not above `exact`."""
    largest = Fraction(float(np.finfo(dtype).max))
    if exact >= largest:
        return float(largest)
    with np.errstate(over="ignore"):
        number = dtype(float(exact) if exact >= -largest else -INF)
    if number > -INF and Fraction(float(number)) > exact:
        number = np.nextafter(number, dtype(-INF))
    return float(number)


#: What each family computes exactly; the root has a check of its own.
ARITHMETIC = {
    "add": ("x, y", lambda x, y, z: x + y),
    "sub": ("x, y", lambda x, y, z: x - y),
    "mul": ("x, y", lambda x, y, z: x * y),
    "div": ("x, y", lambda x, y, z: x / y),
    "rcp": ("x", lambda x, y, z: 1 / x),
    "maf": ("x, y, z", lambda x, y, z: x * y + z),
    "sqrt": ("x < 0 ? -x : x", None),
}


@pytest.mark.parametrize(
    ("operation", "mode", "dtype"),
    [
        (operation, mode, dtype)
        for operation in ARITHMETIC
        for mode in ("rd", "ru", "rz")
        for dtype in (np.float32, np.float64)
        if (operation, dtype) != ("maf", np.float64)
    ],
)
def test_arithmetic_rounds_as_its_name_says(backend, operation, mode, dtype):
    name, letter = ("float", "f") if dtype is np.float32 else ("double", "d")
    operands, exactly = ARITHMETIC[operation]
    text = f"""extern "C" __global__ void k({name}* o, const {name}* v, int n) {{
        int i = threadIdx.x;
        if (i >= n) return;
        {name} x = v[i], y = v[n + i], z = v[2 * n + i];
        o[i] = __{letter}{operation}_{mode}({operands});
    }}"""
    n, limits = 200, np.finfo(dtype)
    v = (RNG.standard_normal((3, n)) * 2.0 ** RNG.integers(-3, 60, (3, n))).astype(dtype)
    v[:2, :20] *= dtype(2.0) ** (limits.minexp // 2)  # products below the least number
    v[:2, 20:40] = limits.max * np.sign(v[:2, 20:40]) * dtype(0.7)  # results beyond the largest
    launch: Launch = ("k", (1, 1, 1), (256, 1, 1), 0, ["o", "v", n])
    run = make_run([launch], {"v": v}, {"o": ((n,), limits.dtype.name)})
    for value, *numbers in zip(outputs_of(backend, text, run)["o"], *v, strict=True):
        x, y, z = (Fraction(float(number)) for number in numbers)
        if exactly is None:
            other = np.nextafter(value, dtype(0 if mode == "ru" else INF))
            below, above = sorted(Fraction(float(root)) for root in (value, other))
            assert below**2 <= abs(x) <= above**2
            continue
        exact = exactly(x, y, z)
        rounds_down = mode == "rd" or (mode == "rz" and exact > 0)
        assert value == (down(exact, dtype) if rounds_down else -down(-exact, dtype)), numbers


@pytest.mark.parametrize(
    ("operation", "exactly"),
    [
        ("a + b", lambda a, b, c: a + b),
        ("a - b", lambda a, b, c: a - b),
        ("a * b", lambda a, b, c: a * b),
        ("a / b", lambda a, b, c: a / b),
        ("__hfma(a, b, c)", lambda a, b, c: a * b + c),
    ],
)
def test_half_arithmetic_rounds_once(backend, operation, exactly):
    n = 2000
    a, b, c = RNG.integers(0, 0x7C00, (3, n)).astype(np.uint16).view(np.float16)
    text = f"""#include <cuda_fp16.h>
        extern "C" __global__ void k(half* o, const half* x, const half* y, const half* z, int n) {{
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) {{ half a = x[i], b = y[i], c = z[i]; o[i] = {operation}; }}
        }}"""
    launch: Launch = ("k", (8, 1, 1), (256, 1, 1), 0, ["o", "x", "y", "z", n])
    run = make_run([launch], {"x": a, "y": b, "z": c}, {"o": ((n,), "float16")})
    got = outputs_of(backend, text, run)["o"]
    with np.errstate(all="ignore"):
        wanted = exactly(*(v.astype(np.float64) for v in (a, b, c))).astype(np.float16)
    np.testing.assert_array_equal(got, wanted)


def test_matches(backend):
    text = """#include <cooperative_groups.h>
        extern "C" __global__ void k(unsigned* o) {
            auto tile = cooperative_groups::tiled_partition<8>(cooperative_groups::this_thread_block());
            int i = threadIdx.x, all, none;
            o[i] = __match_all_sync(0xffffffffu, i / 32, &all);
            o[32 + i] = all + __match_all_sync(0xffffffffu, i / 31, &none) + 2 * none;
            o[64 + i] = tile.match_any(i % 3);
            o[96 + i] = tile.match_all(i / 16 == 1 ? 7 : i, all);
            o[128 + i] = all;
        }"""
    run = make_run([("k", (1, 1, 1), (32, 1, 1), 0, ["o"])], {}, {"o": ((5, 32), "int32")})
    got = outputs_of(backend, text, run)["o"].view(np.uint32)
    lanes = np.arange(32)
    tile = [sum(1 << j for j in range(8) if (i // 8 * 8 + j) % 3 == i % 3) for i in lanes]
    wanted = [[0xFFFFFFFF] * 32, [1] * 32, tile, np.where(lanes >= 16, 255, 0), lanes >= 16]
    np.testing.assert_array_equal(got, np.array(wanted, np.int64))

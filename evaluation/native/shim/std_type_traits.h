// <type_traits>, as far as kernels use it: for the shim and for NVRTC, which has no such header either.
#ifndef WARPSMITH_TYPE_TRAITS
#define WARPSMITH_TYPE_TRAITS
namespace std {

template <class T, T Value> struct integral_constant {
    static constexpr T value = Value;
    typedef T value_type;
    __host__ __device__ constexpr operator T() const { return Value; }
};
template <bool Value> using bool_constant = integral_constant<bool, Value>;
typedef bool_constant<true> true_type;
typedef bool_constant<false> false_type;

template <bool Condition, class Then, class Else> struct conditional { typedef Then type; };
template <class Then, class Else> struct conditional<false, Then, Else> { typedef Else type; };
template <bool Condition, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { typedef T type; };

template <class T> struct remove_const { typedef T type; };
template <class T> struct remove_const<const T> { typedef T type; };
template <class T> struct remove_volatile { typedef T type; };
template <class T> struct remove_volatile<volatile T> { typedef T type; };
template <class T> struct remove_cv { typedef typename remove_const<typename remove_volatile<T>::type>::type type; };
template <class T> struct remove_reference { typedef T type; };
template <class T> struct remove_reference<T&> { typedef T type; };
template <class T> struct remove_reference<T&&> { typedef T type; };
template <class T> struct remove_pointer { typedef T type; };
template <class T> struct remove_pointer<T*> { typedef T type; };
template <class T> struct decay { typedef typename remove_cv<typename remove_reference<T>::type>::type type; };

template <class T, class U> struct is_same : false_type {};
template <class T> struct is_same<T, T> : true_type {};
template <class T, class... U> using warpsmith_is_one_of = bool_constant<(is_same<typename remove_cv<T>::type, U>::value || ...)>;
template <class T> struct is_void : warpsmith_is_one_of<T, void> {};
template <class T> struct is_floating_point : warpsmith_is_one_of<T, float, double, long double> {};
template <class T> struct is_unsigned
    : warpsmith_is_one_of<T, bool, unsigned char, unsigned short, unsigned, unsigned long, unsigned long long> {};
template <class T> struct is_integral
    : bool_constant<is_unsigned<T>::value ||
                    warpsmith_is_one_of<T, char, signed char, short, int, long, long long>::value> {};
template <class T> struct is_arithmetic : bool_constant<is_integral<T>::value || is_floating_point<T>::value> {};
template <class T> struct is_signed : bool_constant<is_arithmetic<T>::value && !is_unsigned<T>::value> {};
template <class T> struct is_pointer : bool_constant<!is_same<typename remove_cv<T>::type,
                                                             typename remove_pointer<typename remove_cv<T>::type>::type>::value> {};
template <class T> struct is_const : false_type {};
template <class T> struct is_const<const T> : true_type {};
template <class T> struct is_reference : bool_constant<!is_same<T, typename remove_reference<T>::type>::value> {};
template <class T> struct is_trivially_copyable : bool_constant<__is_trivially_copyable(T)> {};

template <class T> struct make_unsigned;
template <class T> struct make_signed;
#define WARPSMITH_SIGNS(T, Signed)                                        \
    template <> struct make_unsigned<T> { typedef unsigned Signed type; };  \
    template <> struct make_unsigned<unsigned Signed> { typedef unsigned Signed type; }; \
    template <> struct make_signed<T> { typedef T type; };                  \
    template <> struct make_signed<unsigned Signed> { typedef T type; };
WARPSMITH_SIGNS(signed char, char)
WARPSMITH_SIGNS(short, short)
WARPSMITH_SIGNS(int, int)
WARPSMITH_SIGNS(long, long)
WARPSMITH_SIGNS(long long, long long)
#undef WARPSMITH_SIGNS

template <bool Condition, class Then, class Else> using conditional_t = typename conditional<Condition, Then, Else>::type;
template <bool Condition, class T = void> using enable_if_t = typename enable_if<Condition, T>::type;
template <class T> using remove_const_t = typename remove_const<T>::type;
template <class T> using remove_cv_t = typename remove_cv<T>::type;
template <class T> using remove_reference_t = typename remove_reference<T>::type;
template <class T> using remove_pointer_t = typename remove_pointer<T>::type;
template <class T> using decay_t = typename decay<T>::type;
template <class T> using make_unsigned_t = typename make_unsigned<T>::type;
template <class T> using make_signed_t = typename make_signed<T>::type;
template <class T, class U> constexpr bool is_same_v = is_same<T, U>::value;
template <class T> constexpr bool is_void_v = is_void<T>::value;
template <class T> constexpr bool is_floating_point_v = is_floating_point<T>::value;
template <class T> constexpr bool is_integral_v = is_integral<T>::value;
template <class T> constexpr bool is_arithmetic_v = is_arithmetic<T>::value;
template <class T> constexpr bool is_signed_v = is_signed<T>::value;
template <class T> constexpr bool is_unsigned_v = is_unsigned<T>::value;
template <class T> constexpr bool is_pointer_v = is_pointer<T>::value;
template <class T> constexpr bool is_const_v = is_const<T>::value;
template <class T> constexpr bool is_reference_v = is_reference<T>::value;
template <class T> constexpr bool is_trivially_copyable_v = is_trivially_copyable<T>::value;

}  // namespace std
#endif

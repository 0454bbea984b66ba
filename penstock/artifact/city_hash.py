"""CityHash64 in its version 1.0, whose lower half is what CatBoost knows a category by.

Source: city.cc of https://github.com/google/cityhash at v1.0.3, in whose names the functions are written.
"""

_MOST = (1 << 64) - 1
_K0, _K1, _K2, _K3 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
_MUL = 0x9DDFEA08EB382D69


def category_hash(text: str) -> int:
    """The 32 bits by which CatBoost knows a category, `CalcCatFeatureHash` of catboost/libs/cat_feature."""
    return city_hash(text.encode("utf-8", "surrogatepass")) & 0xFFFFFFFF


def city_hash(s: bytes) -> int:
    """64 bits of any bytes."""
    length = len(s)
    if length <= 16:
        return _to_16(s, length)
    if length <= 32:
        a, b = _64(s, 0) * _K1, _64(s, 8)
        c, d = _64(s, length - 8) * _K2, _64(s, length - 16) * _K0
        return _two(_rotate(a - b, 43) + _rotate(c, 30) + d, a + _rotate(b ^ _K3, 20) - c + length)
    if length <= 64:
        v, w = _half(s, 0, length, _64(s, 24)), _half(s, length - 32, 0, _64(s, length - 8))
        r = _mix((v[0] + w[1]) * _K2 + (w[0] + v[1]) * _K0)
        return _mix(r * _K0 + v[1]) * _K2 & _MOST
    return _longer(s, length)


def _64(s: bytes, at: int) -> int:
    return int.from_bytes(s[at : at + 8], "little")


def _32(s: bytes, at: int) -> int:
    return int.from_bytes(s[at : at + 4], "little")


def _rotate(value: int, by: int) -> int:
    value &= _MOST
    return (value >> by | value << (64 - by)) & _MOST


def _mix(value: int) -> int:
    value &= _MOST
    return value ^ value >> 47


def _two(low: int, high: int) -> int:
    """`HashLen16`."""
    low, high = low & _MOST, high & _MOST
    return _mix((high ^ _mix((low ^ high) * _MUL)) * _MUL) * _MUL & _MOST


def _to_16(s: bytes, length: int) -> int:
    if length > 8:
        b = _64(s, length - 8)
        return _two(_64(s, 0), _rotate(b + length, length)) ^ b
    if length >= 4:
        return _two(length + (_32(s, 0) << 3), _32(s, length - 4))
    if length:
        y, z = s[0] + (s[length >> 1] << 8), length + (s[-1] << 2)
        return _mix(y * _K2 ^ z * _K3) * _K2 & _MOST
    return _K2


def _half(s: bytes, at: int, length: int, z: int) -> tuple[int, int]:
    """What `HashLen33to64` makes of 32 bytes from `at` on, of the first half with the length."""
    a = _64(s, at) + (length + _64(s, len(s) - 16)) * _K0 if length else _64(s, 16) + _64(s, at)
    b, c = _rotate(a + z, 52), _rotate(a, 37)
    a += _64(s, at + 8)
    c += _rotate(a, 7)
    a += _64(s, at + 16)
    return a + z, b + _rotate(a, 31) + c


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """`WeakHashLen32WithSeeds`."""
    w, x, y, z = (_64(s, at + 8 * part) for part in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c, a = a, a + x + y
    return (a + z) & _MOST, (b + _rotate(a, 44) + c) & _MOST


def _longer(s: bytes, length: int) -> int:
    x, y, z = _64(s, 0), _64(s, length - 16) ^ _K1, _64(s, length - 56) ^ _K0
    v, w = _weak(s, length - 64, length, y), _weak(s, length - 32, length * _K1, _K0)
    z = z + _mix(v[1]) * _K1
    x, y = _rotate(z + x, 39) * _K1, _rotate(y, 33) * _K1
    for at in range(0, (length - 1) & ~63, 64):
        x = _rotate(x + y + v[0] + _64(s, at + 16), 37) * _K1 ^ w[1]
        y = _rotate(y + v[1] + _64(s, at + 48), 42) * _K1 ^ v[0]
        z = _rotate(z ^ w[0], 33)
        v, w = _weak(s, at, v[1] * _K1, x + w[0]), _weak(s, at + 32, z + w[1], y)
        x, z = z, x
    return _two(_two(v[0], w[0]) + _mix(y) * _K1 + z, _two(v[1], w[1]) + x)

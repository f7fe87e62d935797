"""Sine, cosine and arcsine of doubles that are the same on every machine.

Those of the C library may differ in the last digit from one version or processor to another, and
replicas must agree on what is near enough and on distances that are stored.  Here are sums,
products, quotients and square roots alone, which IEEE 754 leaves no choice about.

The polynomials are those of fdlibm (https://www.netlib.org/fdlibm/).  What comes out is off by no
more than the last digit or two.

Caveat: an angle is between -4 and 4.
"""

from math import sqrt

PI = 3.141592653589793
# A right angle in two parts: the first one is short, so that its products are exact.
_RIGHT, _RIGHT_REST = 1.57079632673412561417, 6.07710050650619224932e-11
_RIGHT_NEAREST, _RIGHT_LACKS = 1.57079632679489655800, 6.12323399573676603587e-17

_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5 = -2.75573143513906633035e-07, 2.08757232129817482790e-09
_C6 = -1.13596475577881948265e-11
_P0, _P1, _P2 = 1.66666666666666657415e-01, -3.25565818622400915405e-01, 2.01212532134862925881e-01
_P3, _P4, _P5 = -4.00555345006794114027e-02, 7.91534994289814532176e-04, 3.47933107596021167570e-05
_Q1, _Q2 = -2.40339491173441421878e00, 2.02094576023350569471e00
_Q3, _Q4 = -6.88283971605453293030e-01, 7.70381505559019352791e-02


def _sine(x: float) -> float:
    """Of an angle of half a right one at most."""
    z = x * x
    return x + z * x * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))


def _cosine(x: float) -> float:
    z = x * x
    rest = z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6)))))
    half = 0.5 * z
    near = 1.0 - half
    return near + (((1.0 - near) - half) + rest)


def _reduced(x: float) -> tuple[int, float]:
    """How many right angles, and what is left."""
    count = int(x / _RIGHT_NEAREST + (0.5 if x >= 0 else -0.5))
    return count, (x - count * _RIGHT) - count * _RIGHT_REST


def sin(x: float) -> float:
    count, rest = _reduced(x)
    value = _cosine(rest) if count & 1 else _sine(rest)
    return -value if count & 2 else value


def cos(x: float) -> float:
    count, rest = _reduced(x)
    value = _sine(rest) if count & 1 else _cosine(rest)
    return -value if (count + 1) & 2 else value


def asin(x: float) -> float:
    """Of -1 to 1; what is beyond counts as these."""
    size = min(abs(x), 1.0)
    z = size * size if size < 0.5 else (1.0 - size) * 0.5
    over = z * (_P0 + z * (_P1 + z * (_P2 + z * (_P3 + z * (_P4 + z * _P5)))))
    ratio = over / (1.0 + z * (_Q1 + z * (_Q2 + z * (_Q3 + z * _Q4))))
    if size < 0.5:
        value = size + size * ratio
    else:
        root = sqrt(z)
        value = _RIGHT_NEAREST - (2.0 * (root + root * ratio) - _RIGHT_LACKS)
    return value if x >= 0 else -value

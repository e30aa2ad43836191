"""Outlines of the ten synthetic shapes as signed distances.

Only additions, multiplications, square roots, minima and maxima are used for pixels. IEEE 754 rounds each of them
correctly, so a picture has the same bits whatever the batch, the instruction set or the machine it is drawn on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outline:
    """One class of shape.

    `distance(x, y)` takes coordinates in which the shape is centred on the origin and gives the signed distance to
    its edge, negative inside (exact near straight edges, a bound elsewhere). `area` is the area within.
    """

    name: str
    distance: Callable[[Floats, Floats], Floats]
    area: float


def _f32(*values: float) -> tuple[np.float32, ...]:
    """Constants as float32, so that no array is promoted to float64."""
    return tuple(np.float32(value) for value in values)


def _half_planes(x: Floats, y: Floats, count: int, inradius: float) -> list[Floats]:
    """Signed distances to `count` lines at equal angles, each `inradius` from the origin."""
    distances = []
    for k in range(count):
        cosine, sine, offset = _f32(math.cos(math.tau * k / count), math.sin(math.tau * k / count), inradius)
        distances.append(x * cosine + y * sine - offset)
    return distances


def _disc_at(x: Floats, y: Floats, centre_x: float, centre_y: float, radius: float) -> Floats:
    cx, cy, r = _f32(centre_x, centre_y, radius)
    dx, dy = x - cx, y - cy
    distance: Floats = np.sqrt(dx * dx + dy * dy) - r
    return distance


def _box(x: Floats, y: Floats, half_width: float, half_height: float) -> Floats:
    a, b = _f32(half_width, half_height)
    return np.maximum(np.abs(x) - a, np.abs(y) - b)


def disc(x: Floats, y: Floats) -> Floats:
    """A filled circle."""
    return _disc_at(x, y, 0, 0, 1)


def ring(x: Floats, y: Floats) -> Floats:
    """A circle with a round hole."""
    return np.maximum(_disc_at(x, y, 0, 0, 1), -_disc_at(x, y, 0, 0, 0.55))


def square(x: Floats, y: Floats) -> Floats:
    """A filled square."""
    return _box(x, y, 1, 1)


def triangle(x: Floats, y: Floats) -> Floats:
    """An equilateral triangle."""
    first, second, third = _half_planes(x, y, 3, 0.5)
    return np.maximum(np.maximum(first, second), third)


def star(x: Floats, y: Floats) -> Floats:
    """A pentagram: the points inside at least four of five half planes, hence the second largest distance."""
    largest, second = np.full_like(x, -np.inf), np.full_like(x, -np.inf)
    for distance in _half_planes(x, y, 5, 1 / 3):
        second = np.maximum(second, np.minimum(largest, distance))
        largest = np.maximum(largest, distance)
    return second


def cross(x: Floats, y: Floats) -> Floats:
    """Two crossed bars of equal length."""
    return np.minimum(_box(x, y, 1, 0.3), _box(x, y, 0.3, 1))


def crescent(x: Floats, y: Floats) -> Floats:
    """A disc with a smaller one cut off its side, the centroid on the origin."""
    return np.maximum(_disc_at(x, y, 0.312, 0, 1), -_disc_at(x, y, 0.812, 0, 0.7))


def bar(x: Floats, y: Floats) -> Floats:
    """One long rectangle."""
    return _box(x, y, 1, 0.32)


def stripes(x: Floats, y: Floats) -> Floats:
    """Three parallel bars."""
    third = np.float32(2 / 3)
    return np.minimum(_box(x, y, 1, 0.2), _box(x, np.abs(y) - third, 1, 0.2))


def dots(x: Floats, y: Floats) -> Floats:
    """Three discs at the corners of a triangle."""
    first, second, third = (_disc_at(x, y, math.cos(a), math.sin(a), 0.55) for a in (0, math.tau / 3, -math.tau / 3))
    return np.minimum(np.minimum(first, second), third)


OUTLINES = (
    Outline("disc", disc, 3.1416),
    Outline("ring", ring, 2.1914),
    Outline("square", square, 4.0),
    Outline("triangle", triangle, 1.2990),
    Outline("star", star, 1.3062),
    Outline("cross", cross, 2.04),
    Outline("crescent", crescent, 1.8030),
    Outline("bar", bar, 1.28),
    Outline("stripes", stripes, 2.4),
    Outline("dots", dots, 2.8507),
)
"""The classes of `shapes`, in the order of their labels."""

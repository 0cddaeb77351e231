"""Product images for the demo shop: flat illustrations, drawn from a table of outlines.

The file name alone defines an image: ``<handle>[-<colour>[-<colour>]][-pair|-detail].png``. The handle
contains the kind of product (a ``harbour-linen-shirt`` is a ``shirt``). The colour words set the main colour and the
accent. The last word may select two pieces or a close-up. The same name always gives the same image.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter

SIDE = 900  # width and height of an image, in pixels
FINE = 3  # products are drawn this many times larger, then reduced, for smooth edges

Colour = tuple[int, int, int]
Point = tuple[float, float]

# For each sign after a tone: the colour to mix in, and its percentage.
SIGNS = {"-": ((24, 12, 0), 17), "+": ((255, 255, 255), 25), "~": ((24, 12, 0), 8), "|": ((24, 12, 0), 12)}
TURN = [(math.cos(math.tau * step / 72), math.sin(math.tau * step / 72)) for step in range(73)]

# Each line: a backdrop, and the colours that it is used for.
PALETTE = """
dbe5e6 sand:d6bd94 ochre:cf9a3c mustard:dda63a rust:b8583a oat:e3d6bd wood:b98552 coral:e07a62
efe3d3 indigo:3d4f7c navy:2f3f5c teal:3b7f86 slate:66727d stone:a39a8b steel:b4bcc3 ink:343a42
f0dfd6 moss:74804f forest:3f6050 olive:7b7a4b sage:9db096 charcoal:4a4e55 cocoa:7a5a45
d9e3da white:f6f3ec cream:f3e8d2 brass:c79a4b walnut:7d5638 plum:7a4a62 flame:f6c445 glass:dbeaec
"""

# The kinds of product: a name, its own colours (main, accent), its tilt in degrees, "=", and its
# strokes, "shape tone size point point ...", on a field of 100 x 100 with y downwards. Shapes: poly (corners
# rounded by size), sym (the left half of a poly, down from the middle axis and back to it), box (pairs of
# corners), oval (pairs of centre and radii; a size makes it a ring that wide), line and seg (size wide; seg
# takes its points two by two). A "2" after the shape adds its mirror image. Tones: c is the main colour, a
# the accent, hole cuts, else a colour's name; "-" darkens ("~" less), "+" lightens, "|" shades the right.
DRAWINGS = """
t-shirt white oat 0 = poly2 c~| 2 31,21 13,38 22,49 34,39; line2 c-- .6 15,36.4 24.3,46.4; sym c| 3 50,27
  42,20 31,21 31,84 50,85; sym c- 7 50,20 40.5,18.5 42,26 50,30.5; sym c--- 6 50,20 42.5,19 43.5,24 50,28; box
  c- 1.5 55,40 66,53; line c-- .5 55,42.5 66,42.5
overshirt rust wood 0 = poly2 c~| 3 31,20 21,25 11,70 22,74 34,46; poly2 c-- 1.5 11.9,65 10.6,70.5 21.6,74.5
  23,69; sym c| 2 50,22 42,16 30,20 29,84 50,84.5; sym c--- 4 50,17 43,16 44,22 50,30; poly2 c+ 1.2 42,15
  50,29 43,32 36.5,18.5; box c-- .5 47.6,30 52.4,84; oval a 0 50,38 1.1,1.1 50,49 1.1,1.1 50,60 1.1,1.1 50,71
  1.1,1.1; box2 c- 1.5 33,40 44,53; poly2 c-- 1 32.6,39.5 44.4,39.5 44.4,43.5 38.5,45.5 32.6,43.5
shirt sand white 0 = poly2 c~| 3 32,21 23,26 12,69 21.5,72.5 34,46; poly2 c-- 1.5 12.8,65 11.6,69.5 21.2,73
  22.4,68.6; sym c| 2.5 50,22 42,17 31,21 31,80 38,84 50,81.5; sym c--- 4 50,18 43,17 44,22 50,29; poly2 c+
  1.2 42,16 50,28.5 44,32 37.5,19; box c- .5 48,30 52,81.5; oval c--- 0 50,36 .8,.8 50,45 .8,.8 50,54 .8,.8
  50,63 .8,.8 50,72 .8,.8; box c- 1.5 56,40 66.5,52.5; line c-- .5 56,43 66.5,43; line c- .6 37,44 36,77
jacket mustard ink 0 = poly2 c~| 4 33,25 23,30 11,70 22,75 36,50; poly2 a 1 12.6,66.5 11.3,70.8 21.4,75
  23,70.6; sym c| 4 50,26 40,24 31,26 30,85 50,86; sym c 10 50,11 36,12 37,30 50,34; sym c--- 8 50,16 41,17
  42,28 50,31; line a 1.2 50,30 50,85; box c- .8 50.6,32 54,85.2; line2 c--- .9 35,74 41,61; line2 c-- .6
  33,44 44,41; box a 1 58,41 65,43.4; line2 white .6 45.5,31 45,40; box2 c-- .8 30.4,82.5 49,85.6
vest forest brass 0 = sym c| 4 50,24 41,17 33,19 35,34 30,46 30,84 50,85; sym c--- 5 50,19 43,16 43,24 50,30;
  sym a- 1.5 50,17 43,14.5 40.5,19.5 44,24 50,19; seg2 c-- .7 34,36 49,38 31.5,47 49,49 30.6,58 49,60 30.6,69
  49,71 42,24.5 42,84; line a 1.2 50,26 50,84.5; line2 c--- .9 34,77 40.5,66
jumper oat navy 0 = poly2 c~| 4 32,22 22,27 11,68 22,72 35,47; poly2 c-- 1.5 12.4,64 11,69 21.6,72.6
  23.2,67.4; sym c| 4 50,24 41,19 30,23 30,83 50,84; box c-- 2 29.8,78.5 70.2,84.5; seg2 c .5 35,79.5 35,83.5
  45,79.5 45,83.5; line a 1.5 31,43 35,38 39,43 43,38 47,43 50,39 53,43 57,38 61,43 65,38 69,43; seg a .9
  31,48 69,48 31,34 69,34; sym c-- 7 50,21 39.5,17 41,26 50,31; sym c--- 6 50,21 42.5,18 43.5,24 50,28
cardigan cocoa cream 0 = poly2 c~| 4 32,21 22,26 11,68 22,72 35,47; poly2 c-- 1.5 12.4,64 11,69 21.6,72.6
  23.2,67.4; sym c| 4 50,18 41,17 30,22 30,83 50,84; sym c--- 3 50,17 42,17 44,32 50,47; box c-- 2 29.8,79
  70.2,84.5; line c-- 3.6 42,17.5 44.5,32 50,47 50,84; line c-- 3.6 58,17.5 55.5,32 50,47; oval a 0 50,50
  1.3,1.3 50,59 1.3,1.3 50,68 1.3,1.3 50,77 1.3,1.3; box2 c- 1.5 33,61 44,74; line2 c-- 1.5 33.5,62 43.5,62
trousers olive brass 0 = poly2 c| 2 35,14 50,14 50,36 45,87 30,87 32,34; line2 c- .7 40.5,34 38,86; line2 c--
  .8 33.6,31 38,25 39,18; box c- 1 34.6,13 65.4,18.5; box2 c-- .5 38.4,12.5 40,19; line c-- .7 50,19 50,36;
  line c-- .6 53,19 52.6,28 50.3,31; oval a 0 50,15.8 1.2,1.2; box2 c-- 1 31.6,50 36.5,60
shorts coral white 0 = poly2 c| 2 33,28 50,28 50,52 46,73 25,71 30,45; line2 c-- .9 26,67 46,69; line2 c-- .8
  31,46 36,39 38,33; box c-- 2 32,26 68,33; line2 c .5 40,28 40,32; line2 a 1 50,31 47.5,37 47,43
beanie rust cream 0 = sym c| 18 50,22 28,22 24,60 24,66 50,66; seg2 c-- .8 47,24 43,60 41,25.5 35,60 35,29.5
  28,60; line c-- .8 50,24 50,60; box c-| 4 22.5,56 77.5,73; line2 c--- .8 43,58 43,71; box a 1 53,60 64,69
straw-hat cream rust 0 = oval c-| 0 50,63 38,11; oval c| 0 50,61 38,10; oval c-- .6 50,61 31,7; sym c| 9 50,31
  43,34 33,30 30,64 50,69; poly a 3 31,50 50,54 69,50 70,60 62,67 38,67 30,60; line c-- .6 33,40 50,43 67,40
cap olive cream 0 = poly c-- 3 60,56 72,57 88,65 86,69 72,66 58,65; poly c| 14 17,63 17,30 45,24 66,30 69,63;
  line c-- .7 45,30 34,46 31,62; line c-- .7 46,30 57,44 59,61; poly c- 2 17,57 69,57 69,65 17,65; oval c--- 0
  45,29.5 2,1.2; box a 1.5 53,42 63,51; poly c-- .6 55,49.5 58,44.5 60,47 61,46 62,49.5
socks moss cream 0 = poly c-| 6 55,16 73,16 72,52 75,62 88,71 86,83 72,84 56,70; box a- 1.5 54,15 74,22; poly
  a- 5 78,64 88,70 87,83 74,84; poly c| 6 26,18 46,18 45,55 48,64 62,73 60,86 45,87 27,72; box a 1.5 25,16
  47,24; seg a 1.6 27,29 45,29 27,33 45,33; poly a 5 26,59 37,66 38,82 27,72; poly a 5 51,66 62,72 61,86 47,87
scarf slate cream 0 = poly c--| 2 53,36 67,34 72,83 57,84; seg a 2 56,74 71,73 55.6,69 70.5,68; seg c-- .7
  60,83 61,88 69,83 70,88; oval c-| 13 50,30 19,11; poly c| 4 40,34 56,36 50,78 33,77; seg a 2 34.2,68 51.3,69
  35,63 52,64; seg c-- .7 35,77 34,82 41,77 40,82 48,77 47,82; poly c+ 5 36,31 58,33 58,43 37,42
bell-tent cream rust 0 = seg2 wood .7 29,45 10,82 71,45 78,80; sym c| 1.5 50,18 22,62 24,82 50,82; seg2 c-- .6
  47,20 36,63 36,63 36,82; sym a 1 50,19 41.5,31 44,33 50,30; line2 a 1.4 22.5,62 36,64.5 50,65.5; sym c---- 2
  50,45 41,82 50,82; poly2 c- 1 50,44 40,82 36,82 44,63; poly a 1 50,14 58,16.5 50,19
tent moss ochre 0 = seg ink .6 30,30 10,80 66,27 92,77; poly c-| 1 34,24 68,22 88,79 52,82; seg c-- .6 46,23.5
  64.5,81 57,22.8 76.5,80; poly c 1 34,24 54,82 16,82; poly c---- 1 34.5,36 44,82 27,82; poly a 1 34.5,34
  27,82 21,82 30,52; line a 1 34,24 68,22; seg wood 1.4 34,19 34,25 68,17.5 68,22.5
tarp olive brass 0 = seg ink .6 20,36 8,78 80,36 92,78; seg wood 1.6 20,34 20,80 80,34 80,80; line wood 1.4
  50,22 50,50; poly c-- 2 20,36 50,46 80,36 74,60 26,60; poly c| 2 20,35 50,20 80,35 50,50; line c-- .7 50,21
  50,49; line c- .7 35,28 64,43; oval2 a 0 21.6,35.2 1.2,1.2; oval a 0 50,22 1.2,1.2 50,48 1.2,1.2
sleeping-bag teal mustard 14 = sym c| 17 50,8 28,9 27,40 35,92 50,92; sym a 9 50,13 38,14 36,32 50,35; sym
  a--- 8 50,17 41,17 40,28 50,31; line2 c-- .8 30.5,42 40,45 50,46; line2 c-- .8 32,54 41,57 50,58; line2 c--
  .8 34,66 42,69 50,70; line2 c-- .8 36,78 43,81 50,82; line a 1 58,35 60,88; box a 1 57,36 60,40
hammock coral white 0 = line2 wood- 4 11,14 11,86; seg2 ink .9 11,30 24,44 11,32 24,47; sym c--| 12 50,56
  36,55 21,40 26,60 50,72; sym c| 14 50,64 33,62 20,40 25,74 50,79; line a 1.8 25,56 31,64 40,69.5 50,71
  60,69.5 69,64 75,56; line a 1 27,63 33,69.5 41,73.8 50,75 59,73.8 67,69.5 73,63
trekking-backpack slate ochre 0 = box2 c-- 3 26,44 34,68; box a-| 5 27,74 73,86; oval a-- 1 71,80 3.4,5; box
  c| 9 31,24 69,79; sym c- 8 50,13 31,13 29,32 50,35; seg a 2 38,33 38,47 62,33 62,47; box c-| 4 36,50 64,72;
  line a 1.2 38,55 62,55; seg c-- 1.4 41,73 41,86 59,73 59,86; line c--- 1.6 44,13 45,9 55,9 56,13
backpack olive wood 0 = line c-- 2 43,18 44,11 56,11 57,18; box2 c-- 4 22,50 32,74; box c| 15 28,15 72,83;
  line c-- .9 30,40 36,30 64,30 70,40; box c-| 5 34,50 66,76; poly c- 2 33.5,49 66.5,49 66.5,57 50,60 33.5,57;
  box2 a 1 40,45 43.5,63; oval2 brass 0 41.7,61 .9,.9; box a 1 45,36 55,42
tote cream indigo 0 = line c-- 2.4 38,38 38,22 43,14 57,14 62,22 62,38; poly c| 2 24,34 76,34 79,85 21,85; seg
  c-- 2.6 38,34 38,44 62,34 62,44; poly a 1 33,72 46,54 52,62 57,57 67,72; line a 1 33,76 67,76
dry-bag mustard ink 0 = line c--- 1.4 38,24 34,13 50,9 66,13 62,24; poly c| 7 29,32 71,32 72,84 28,84; poly c-
  3 33,26 67,26 72,38 28,38; box a 2 31,19 69,27; box a+ 1 45,16 55,23; line2 c-- .8 33,40 32,80; box white
  1.5 40,50 60,68; poly a 1 43,63 48,56 51,60 53,58 57,63
pouch plum brass 0 = box c| 8 20,34 80,74; box c- 3 20.5,39 79.5,46; line a 1.4 25,42.5 75,42.5; box a 1 68,41
  73,49; line a- 1.4 70.5,49 70.5,58; poly wood 1.5 80,50 90,47 90,57 80,56; box c+ 1.5 28,54 44,64
mug teal white 0 = oval c- 5 71,53 12,14; poly c| 5 25,30 71,30 69,79 27,79; oval c 0 48,30 23,6; oval a 0
  48,30 21,4.8; oval cocoa 0 48,31.5 18,3.2; oval ink 1 48,30 23,6; line c+ 1.8 31,42 32,68; oval a 0 42,52
  .7,.7 54,45 .6,.6 49,66 .8,.8 60,60 .6,.6 38,71 .6,.6 58,72 .7,.7
bottle teal steel 0 = oval a- 2.4 50,16 6,6; box a| 2 42,18 58,28; line a-- .7 42,24 58,24; poly c| 6 41,28
  59,28 67,38 67,88 33,88 33,38; line c+ 1.8 38,42 38,80; poly a 1 43,62 49,53 52,57 54,55 59,62
flask forest steel 0 = oval c-- 3 67,53 8,15; box a| 5 35,14 65,32; line a- .8 35,20 65,20; box a-| .5 37,31
  63,36; box c| 5 34,35 66,88; box a .5 34,79 66,82; line c+ 1.8 39,41 39,74; box white 1 45,52 55,58
skillet charcoal steel 40 = poly c-| 3 46,52 54,52 54.5,92 45.5,92; oval hole 0 50,87 2,3; poly c- 1 27,30
  21,34 27,42; oval c| 0 50,36 27,27; oval c-- 0 50,36 23.5,23.5; oval c- 0 50,37 21.5,21.5; oval c+ .8 48,35
  17,17; oval white 0 47,38 11,9; oval flame 0 48,37 4.6,4.3; oval flame+ 0 46.8,35.6 1.3,1
kettle indigo brass 0 = line a 2.4 27,44 28,20 50,12 72,20 73,44; box wood 2 40,11.4 60,15.6; poly c-- 3 68,52
  84,38 89,42 76,68; poly c| 14 28,42 72,42 80,84 20,84; poly c- 3 22,79 78,79 77,85 23,85; sym c+ 6 50,33
  34,35 33,44 50,45; oval a 0 50,32 3.2,3; line c+ 1.8 31,54 28,70
pot rust brass 0 = box2 c-- 3 12,46 26,53; poly c| 9 20,42 80,42 77,82 23,82; box c-- 1.5 18.5,40 81.5,45; sym
  c 9 50,26 27,28 20,41 50,41; line c+ 1.6 33,33 42,30; box a 2 45,19 55,27; line c+ 1.8 27,52 28.5,70
spork steel rust 35 = poly a| 3 46,46 54,46 55,93 45,93; oval hole 0 50,88 1.8,1.8; box c- 1 47,34 53,50; sym
  c| 8 50,11 38,11 38,34 50,42; box hole .6 44.3,7 46,20 54,7 55.7,20 49.2,7 50.8,20; oval c-- 0 50,28 6.5,7.5
lantern forest brass 0 = oval a 1.4 50,20 15,13; box c--| 2 42,14 58,22; sym c| 3 50,20 37,20 33,32 50,32; box
  glass 5 35,32 65,68; oval flame+ 0 50,52 11,13; poly flame 4 50,39 55,52 50,62 45,52; poly rust 3 50,48
  52.5,55 50,61 47.5,55; line2 a 1.4 33,32 31,50 34,68; line a 1 32,50 68,50; sym c| 4 50,67 33,67 27,86
  50,86; box c- 1 27,82 73,87; oval a 0 50,76 3,3; line a 1.4 53,76 58,76
headlamp rust ink 0 = oval a+ 7 50,44 35,19; oval a 3 50,44 33,17; line c 1.6 17,50 30,60 70,60 83,50; box a-
  3 29,50 71,72; box c| 7 33,47 67,77; oval a 0 50,61 11,11; oval glass 0 50,61 9,9; oval flame 0 50,61
  5.5,5.5
matches rust cream -10 = box wood+ 1 38,29 41,62; box wood 1 48,25 51,62; box wood+ 1 58,30 61,62; oval c 0
  39.5,28 3,4 49.5,24 3,4 59.5,29 3,4; box a-| 1.5 24,42 78,50; box c| 2 22,48 80,78; box c--- 1 22,72 80,78;
  box a 1.5 34,52 68,68; poly c 2 51,53.5 56,61 51,67 46,61
knife walnut steel -28 = poly a 2 48,50 48,40 14,41 7,49 20,51; poly a-- .6 48,50 48,47 10,48.4 20,51; line
  a--- .6 20,43.5 40,43; poly c| 5 44,39 86,37 92,45 88,54 44,53; poly brass .8 44,39 50,38.6 50,53.2 44,53;
  oval a 0 47,46 1.6,1.6; oval brass 0 66,45.5 1.3,1.3 80,45.5 1.3,1.3; line c- .7 53,43 84,42
axe wood steel 32 = poly c| 3 46.5,12 53.5,12 53,60 57,92 46,92 47,60; poly a--| 1 45,16 58,16 58,32 45,32;
  poly a 3 47,16 47,32 40,33 27,44 22,28 25,11 40,16; poly a++ 2 27,10 23,11 22,28 26,45 29,42.5 26,27
compass brass rust 0 = oval c- 2.6 50,13 6,6; box c- 1 46.5,16 53.5,23; oval c-| 0 50,54 33,33; oval c 0 50,54
  30,30; oval white 0 50,54 26.5,26.5; oval oat .8 50,54 19,19; seg ink 1.4 50,30 50,34 50,74 50,78 26,54
  30,54 70,54 74,54; poly a .6 63,36 53,57 47,51; poly slate .6 37,72 53,57 47,51; oval c- 0 50,54 2.4,2.4
picnic-blanket coral cream 0 = poly wood 1.5 42,30 44,20 56,20 58,30 54,30 53,24 47,24 46,30; box c| 9 18,30
  82,74; box a .5 26,30 32,74 40,30 46,74 56,30 60,74 70,30 76,74; seg a 3 20,42 80,42 20,60 80,60; box wood 1
  34,29 38,75 62,29 66,75; box2 brass 1 33,48 39,55
blanket oat slate 0 = box c-| 6 17,62 83,80; box c| 6 19,45 81,64; box a .5 19,52 81,54.4; box c+| 6 17,27
  83,47; box a .5 17,34 83,37 17,39.5 83,41 17,69 83,71.4; seg c--- .7 83,30 87,30 83,34 87,34 83,38 87,38
  83,42 87,42 82.6,66 86.6,66 82.6,70 86.6,70 82.6,74 86.6,74
cushion sage cream 0 = sym c| 7 50,24 34,23 18,18 22,50 18,84 34,80 50,79; line2 c-- .9 50,26 34,25.5 22.5,22
  25.5,50 22.5,80 34,77.5 50,76.5; line2 a 1.6 50,43 44,50 50,57; line2 a 1.2 50,34 36,50 50,66
chair sand wood 0 = line a-- 3 70,60 32,88; line a 3 30,60 68,88; seg2 a 3 27,15 27,62 24,62 24,88; poly c| 2
  26,17 74,17 74,35 26,35; box2 a+ 2 18,44 32,48; poly c-| 3 24,57 76,57 80,66 20,66; line2 a 3 20,88 36,88
stool wood cocoa 0 = poly c-- 1 48,36 53,36 53,80 48,80; poly2 c- 1 29,38 36,38 27,88 21,88; line c--- 2 29,66
  71,66; box c-| 5 20,30 80,42; oval c 0 50,31 30,8; oval c- .7 49,31 21,5 48,31 11,2.4
floor-lamp cream wood 0 = line a-- 1.8 50,42 50,90; line2 a 2 49,42 32,91; line2 a 1.2 41,66 50,66; sym c| 2
  50,10 37,10 29,40 50,40; box flame+ 1 29,37 71,40; line ink .8 58,40 58,52; oval brass 0 58,53 1.2,1.2
lamp cream sage 0 = box a-- 1 47.5,46 52.5,56; sym a| 13 50,53 38,54 30,84 50,84; box a-- 1.5 37,82 63,86;
  line a+ 1.6 40,66 40,74; sym c| 2 50,16 36,16 25,48 50,48; box flame+ 1 25,45 75,48; line ink .8 59,48 59,60
soap sage cream 0 = poly c--| 7 18,42 82,42 84,72 16,72; box c| 9 16,34 84,66; box c+ 6 20,37.5 80,62; box a|
  .5 36,34 64,72; poly c-- 2.5 50,43 54,51 50,58 46,51; line c-- .7 50,58 50,62
candle cream plum 0 = poly flame+ 5 50,8 57,22 50,32 43,22; poly flame 4 50,14 54.5,24 50,31 45.5,24; line ink
  1 50,30 50,38; box glass| 6 29,34 71,86; box c| 5 31.5,44 68.5,83.5; oval c+ 0 50,44 18.5,3.6; box a| 1.5
  34,54 66,73; line c .8 41,61 59,61; line white 1.4 34,40 34,50
gift-card forest flame -9 = box a 3 24,24 86,62; box a- 3 24,32 86,36; box c| 3 14,36 76,76; box c-- 0 28,36
  32,76 14,48 76,52; poly a 2.5 30,50 20,42 19,54; poly a 2.5 30,50 40,42 41,54; oval a- 0 30,50 2.6,2.6
notebook ochre ink 7 = box white- 2.5 28,17 75,86; box white 2.5 27,16 73,85; box c| 3 25,14 71,84; box c-- 1
  25,14 31,84; box white 1.5 38,28 61,42; seg c--- .7 42,33 57,33 42,37 53,37; box a .4 64,14 66,84
book forest cream -6 = box c--- 2 28,17 77,87; box a 1 28,16 74,85; box c| 2.5 25,13 72,84; box c-- 1 25,13
  30,84; oval flame 0 57,35 6,6; poly c+ 1 33,68 46,44 53,56 58,49 69,68; poly a .6 46,44 49.5,50 46,49 43,50;
  seg a 1 38,20 64,20 43,24 59,24 40,76 62,76
repair indigo rust 0 = poly c| 3 18,20 82,20 82,82 18,82; seg c- .5 18,40 82,40 18,62 82,62 40,20 40,82 62,20
  62,82; box a| 2 32,36 68,68; seg white 1 30,42 34,42 30,52 34,52 30,62 34,62; seg2 white 1 38,34 38,38 46,34
  46,38 38,66 38,70 46,66 46,70; seg white 1 66,42 70,42 66,52 70,52; line white 1 66,62 74,68 77,58 72,50
  78,40; poly steel 1 77,41 79.4,42 90,16 88,15.4; poly a+ 2.5 50,62 44,54 41,49 44,44 50,48 56,44 59,49 56,54
"""

# The pieces of each view: horizontal and vertical shift, scale, tilt, change of tone.
VIEWS = {
    "plain": ((0.0, 0.0, 1.0, 0.0, ""),),
    "pair": ((13.0, -9.0, 0.74, 9.0, "-"), (-12.0, 8.0, 0.82, -6.0, "")),
    "detail": ((4.0, 14.0, 1.75, -7.0, ""),),
}


def colour(code: str) -> Colour:
    red, green, blue = bytes.fromhex(code)
    return red, green, blue


COLOURS = {  # by name: the colour and its backdrop
    name: (colour(code), colour(backdrop))
    for backdrop, *names in map(str.split, PALETTE.strip().splitlines())
    for name, code in (word.split(":") for word in names)
}
KINDS = {  # by name: colours and tilt, and strokes
    title.split()[0]: (title.split()[1:], strokes)
    for title, strokes in (block.split(" = ") for block in re.split(r"\n(?! )", DRAWINGS.strip()))
}


class Mark(NamedTuple):
    """A shape to paint: an area, or a line if it has a width."""

    path: list[Point]
    width: float
    ink: tuple[int, int, int, int]


def toned(base: Colour, signs: str) -> Colour:
    red, green, blue = base
    for sign in signs:
        toward, part = SIGNS[sign]
        red, green, blue = (v + (w - v) * part // 100 for v, w in zip((red, green, blue), toward, strict=True))
    return red, green, blue


def rounded(corners: list[Point], radius: float) -> list[Point]:
    """The closed outline with every corner replaced by a curve that starts `radius` before it."""
    outline = []
    for a, (x, y), c in zip(corners[-1:] + corners, corners, corners[1:] + corners[:1], strict=False):
        near, far = (min(0.5, radius / (math.dist((x, y), other) or 1.0)) for other in (a, c))
        for t in (0, 0.12, 0.25, 0.38, 0.5, 0.62, 0.75, 0.88, 1):
            p, q = (1 - t) ** 2 * near, t**2 * far
            outline.append((x + (a[0] - x) * p + (c[0] - x) * q, y + (a[1] - y) * p + (c[1] - y) * q))
    return outline


def right_of(outline: list[Point], limit: float) -> list[Point]:
    kept = []
    for (ax, ay), (bx, by) in zip(outline, outline[1:] + outline[:1], strict=True):
        if ax >= limit:
            kept.append((ax, ay))
        if (ax >= limit) != (bx >= limit):
            kept.append((limit, ay + (by - ay) * (limit - ax) / (bx - ax)))
    return kept


def mirrored(path: Iterable[Point]) -> list[Point]:
    return [(100 - x, y) for x, y in path]


def marks(strokes: str, dyes: Mapping[str, Colour]) -> Iterator[Mark]:
    """Parses the strokes of a drawing. The marks use the coordinates of the drawing."""
    for shape, tone, number, *words in map(str.split, strokes.split(";")):
        size = float(number)
        points = [(float(x), float(y)) for x, y in (word.split(",") for word in words)]
        pairs = list(zip(points[::2], points[1::2], strict=False))
        match shape.rstrip("2"):
            case "poly":
                paths = [rounded(points, size)]
            case "sym":
                paths = [rounded(points + mirrored(points[-2:0:-1]), size)]
            case "box":
                paths = [rounded([(a, b), (c, b), (c, d), (a, d)], size) for (a, b), (c, d) in pairs]
            case "oval":
                paths = [[(x + p * cos, y + q * sin) for cos, sin in TURN] for (x, y), (p, q) in pairs]
            case "seg":
                paths = [list(pair) for pair in pairs]
            case _:
                paths = [points]
        width = size if shape.startswith(("oval", "line", "seg")) else 0.0
        name = tone.rstrip("+-~|")
        alpha = 0 if name == "hole" else 255
        base = toned(dyes[name] if name in dyes else COLOURS[name][0], tone[len(name) :].rstrip("|"))
        for path in paths + [mirrored(path) for path in paths if shape.endswith("2")]:
            yield Mark(path, width, (*base, alpha))
            if tone.endswith("|"):
                left, right = min(path)[0], max(path)[0]
                yield Mark(right_of(path, left + 0.64 * (right - left)), 0.0, (*toned(base, "|"), alpha))


def placed(work: Iterable[Mark], across: float, down: float, scale: float, tilt: float) -> Iterator[Mark]:
    """Converts the marks to enlarged pixels: moved, scaled, and tilted about the centre."""
    unit = SIDE * FINE / 100
    cos, sin = (unit * scale * turn(math.radians(tilt)) for turn in (math.cos, math.sin))
    right, below = unit * (50 + across) - 50 * (cos - sin), unit * (50 + down) - 50 * (cos + sin)
    for path, width, ink in work:
        moved = [(right + x * cos - y * sin, below + x * sin + y * cos) for x, y in path]
        yield Mark(moved, width * scale * unit, ink)


def lay(picture: Image.Image, work: list[Mark], shadow: Colour) -> None:
    """Paints one piece with smooth edges and a soft shadow onto the picture."""
    spots = [(x, y, width) for path, width, _ in work for x, y in path]
    left, top = (max(0, int(min(spot[i] - spot[2] for spot in spots)) // FINE) for i in (0, 1))
    right, foot = (min(SIDE, int(max(spot[i] + spot[2] for spot in spots)) // FINE + 1) for i in (0, 1))
    canvas = Image.new("RGBA", ((right - left) * FINE, (foot - top) * FINE))
    brush = ImageDraw.Draw(canvas)
    for path, width, ink in work:
        line = [(x - left * FINE, y - top * FINE) for x, y in path]
        if width:
            brush.line(line, fill=ink, width=round(width), joint="curve")
            brush.circle(line[0], width / 2, fill=ink)
            brush.circle(line[-1], width / 2, fill=ink)
        else:
            brush.polygon(line, fill=ink)
    piece = canvas.reduce(FINE)
    cover = Image.new("L", picture.size)
    cover.paste(piece.getchannel("A"), (left, top + SIDE // 40))
    soft = cover.reduce(6).filter(ImageFilter.GaussianBlur(3)).resize(picture.size, Image.Resampling.BICUBIC)
    picture.paste(shadow, mask=soft.point([value * 2 // 5 for value in range(256)]))
    picture.paste(piece, (left, top), piece)


@lru_cache
def backdrop(tint: Colour) -> Image.Image:
    """A plain background with a pale disc in the middle."""
    wall = Image.new("RGB", (SIDE, SIDE), tint)
    disc = Image.new("L", (SIDE * FINE, SIDE * FINE))
    ImageDraw.Draw(disc).circle((SIDE * FINE / 2, SIDE * FINE / 2), SIDE * FINE * 0.4, fill=130)
    wall.paste((255, 255, 255), mask=disc.reduce(FINE))
    return wall


def draw(name: str) -> Image.Image:
    """Draws the image with this file name. Raises KeyError for an unknown kind of product."""
    words = Path(name).stem.split("-")
    view = VIEWS[words.pop() if words[-1] in VIEWS else "plain"]
    dyed = list(takewhile(COLOURS.__contains__, reversed(words)))[1::-1]
    (main, accent, lean), strokes = KINDS[next((k for k in KINDS if f"-{k}-" in f"-{'-'.join(words)}-"), name)]
    (ink, tint), (trim, _) = (COLOURS[dye] for dye in dyed + [main, accent][len(dyed) :])
    picture = backdrop(tint).copy()
    for across, down, scale, tilt, tone in view:
        dyes = {"c": toned(ink, tone), "a": toned(trim, tone), "hole": tint}
        work = marks(strokes, dyes)
        lay(picture, list(placed(work, across, down, scale, tilt + float(lean))), toned(tint, "---"))
    return picture


def draw_all(directory: Path, rows: Iterable[Mapping[str, str]]) -> list[Path]:
    """Draws each image named in the rows of a product export once. Returns the written files."""
    directory.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(row.get(column, "") for row in rows for column in ("Image Src", "Variant Image"))
    paths = [directory / name for name in names if name]
    for path in paths:
        draw(path.name).quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path)
    return paths

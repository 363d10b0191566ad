// Minimal filtering (Winograd; Lavin & Gray 2015, arXiv 1509.09308) for 3x3 convolutions with stride 1, 4x4
// convolutions with stride 2 and the adjoint of the latter; and the pixel norm between convolutions. Windows and
// kernels are transformed so that the same outputs need fewer products. Images are [N, H, W, C] in memory and are zero-
// padded by 1. A block of tiles is processed at a time, so that its data stay in the cache. Intermediate arrays store
// channels in panels of W, the last panel padded with zeros.
//
// Compiled with -DNUMBER=float or double; -DVECTOR_BYTES=64 makes vectors wider than the processor has.

#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <cmath>
#include <utility>

// The tensor pool (pool.cpp), if it is loaded: workspaces then reuse the memory of freed tensors.
extern "C" __attribute__((weak)) void* pggan_take(size_t bytes);
extern "C" __attribute__((weak)) void pggan_give(void* block);

namespace {
#ifdef VECTOR_BYTES
constexpr int BYTES = VECTOR_BYTES;
#elif defined(__AVX512F__)
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;
#endif

template <class T> struct Vector {
  typedef T type __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
  static constexpr int lanes = BYTES / sizeof(T);
  static constexpr int width = 2 * lanes;
};
template <class T> using vec = typename Vector<T>::type;

// F(m, r): m outputs of a one-dimensional convolution with r taps from m + r - 1 products; V is a vector of numbers.
//   in: inputs -> factors; kernel: taps -> factors; out: products -> outputs; spread and collect: the adjoints of out
//   and kernel.

struct F23 {
  static constexpr int TAPS = 3, OUT = 2, IN = 4;
  template <class V> static void in(const V* d, V* v) {
    v[0] = d[0] - d[2], v[1] = d[1] + d[2], v[2] = d[2] - d[1], v[3] = d[1] - d[3];
  }
  template <class V> static void kernel(const V* g, V* u) {
    const V even = (g[0] + g[2]) / 2, odd = g[1] / 2;
    u[0] = g[0], u[1] = even + odd, u[2] = even - odd, u[3] = g[2];
  }
  template <class V> static void out(const V* m, V* y) { y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3]; }
  template <class V> static void spread(const V* y, V* z) {
    z[0] = y[0], z[1] = y[0] + y[1], z[2] = y[0] - y[1], z[3] = -y[1];
  }
  template <class V> static void collect(const V* u, V* g) {
    const V even = (u[1] + u[2]) / 2;
    g[0] = u[0] + even, g[1] = (u[1] - u[2]) / 2, g[2] = even + u[3];
  }
};

struct F43 {
  static constexpr int TAPS = 3, OUT = 4, IN = 6;
  template <class V> static void in(const V* d, V* v) {
    const V a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);
    v[0] = 4 * d[0] - 5 * d[2] + d[4], v[1] = a + b, v[2] = a - b, v[3] = c + e, v[4] = c - e;
    v[5] = 4 * d[1] - 5 * d[3] + d[5];
  }
  template <class V> static void kernel(const V* g, V* u) {
    const V a = (g[0] + g[2]) / -6, b = g[1] / -6, c = (g[0] + 4 * g[2]) / 24, e = g[1] / 12;
    u[0] = g[0] / 4, u[1] = a + b, u[2] = a - b, u[3] = c + e, u[4] = c - e, u[5] = g[2];
  }
  template <class V> static void out(const V* m, V* y) {
    const V a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];
    y[0] = m[0] + a + c, y[1] = b + 2 * e, y[2] = a + 4 * c, y[3] = b + 8 * e + m[5];
  }
  template <class V> static void spread(const V* y, V* z) {
    const V a = y[0] + y[2], b = y[1] + y[3], c = y[0] + 4 * y[2], e = 2 * y[1] + 8 * y[3];
    z[0] = y[0], z[1] = a + b, z[2] = a - b, z[3] = c + e, z[4] = c - e, z[5] = y[3];
  }
  template <class V> static void collect(const V* u, V* g) {
    const V a = (u[1] + u[2]) / 6, b = (u[2] - u[1]) / 6, c = u[3] + u[4], e = u[3] - u[4];
    g[0] = u[0] / 4 - a + c / 24, g[1] = b + e / 12, g[2] = c / 6 - a + u[5];
  }
};

struct F22 {
  static constexpr int TAPS = 2, OUT = 2, IN = 3;
  template <class V> static void in(const V* d, V* v) { v[0] = d[0] - d[1], v[1] = d[1], v[2] = d[2] - d[1]; }
  template <class V> static void kernel(const V* g, V* u) { u[0] = g[0], u[1] = g[0] + g[1], u[2] = g[1]; }
  template <class V> static void out(const V* m, V* y) { y[0] = m[0] + m[1], y[1] = m[1] + m[2]; }
  template <class V> static void spread(const V* y, V* z) { z[0] = y[0], z[1] = y[0] + y[1], z[2] = y[1]; }
  template <class V> static void collect(const V* u, V* g) { g[0] = u[0] + u[1], g[1] = u[1] + u[2]; }
};

struct F42 {
  static constexpr int TAPS = 2, OUT = 4, IN = 5;
  template <class V> static void in(const V* d, V* v) {
    const V odd = d[3] - d[1];
    v[0] = d[0] - d[2] + odd / 2, v[1] = 2 * d[1] + d[2] - d[3], v[2] = 3 * d[2] - 2 * d[1] - d[3], v[3] = odd;
    v[4] = d[4] - d[2] - 2 * odd;
  }
  template <class V> static void kernel(const V* g, V* u) {
    u[0] = g[0], u[1] = (g[0] + g[1]) / 2, u[2] = (g[0] - g[1]) / 6, u[3] = (g[0] + 2 * g[1]) / 6, u[4] = g[1];
  }
  template <class V> static void out(const V* m, V* y) {
    const V even = m[1] + m[2], odd = m[1] - m[2];
    y[0] = m[0] + even + m[3], y[1] = odd + 2 * m[3], y[2] = even + 4 * m[3], y[3] = odd + 8 * m[3] + m[4];
  }
  template <class V> static void spread(const V* y, V* z) {
    const V even = y[0] + y[2], odd = y[1] + y[3];
    z[0] = y[0], z[1] = even + odd, z[2] = even - odd, z[3] = y[0] + 2 * y[1] + 4 * y[2] + 8 * y[3], z[4] = y[3];
  }
  template <class V> static void collect(const V* u, V* g) {
    g[0] = u[0] + u[1] / 2 + (u[2] + u[3]) / 6, g[1] = u[1] / 2 - u[2] / 6 + u[3] / 3 + u[4];
  }
};

// One dimension of a convolution tile: IN inputs from STEP * tile - 1 on, transformed to MI factors; MO products; OUT
// outputs from OUT * tile on. Factors a and b of the two dimensions determine the plane of a product and its part of
// the sum.

template <class F> struct Same : F {  // 3 taps, stride 1
  static constexpr int STEP = F::OUT, MI = F::IN, MO = F::IN, PARTS = 1;
  static int plane(int a, int b) { return a * MO + b; }
  static int part(int, int) { return 0; }
};

template <class F> struct Down {  // 4 taps, stride 2: 2 taps on odd inputs plus 2 on even inputs
  static constexpr int TAPS = 4, IN = 2 * F::IN, STEP = 2 * F::OUT, MI = 2 * F::IN, MO = F::IN, OUT = F::OUT, PARTS = 4;
  static int plane(int a, int b) { return a % MO * MO + b % MO; }
  static int part(int a, int b) { return a / MO * 2 + b / MO; }
  template <class V> static void in(const V* d, V* v) {
    for (int half = 0; half < 2; ++half) {
      V own[F::IN];
      for (int i = 0; i < F::IN; ++i) own[i] = d[2 * i + half];
      F::in(own, v + half * F::IN);
    }
  }
  template <class V> static void kernel(const V* g, V* u) {
    for (int half = 0; half < 2; ++half) {
      const V own[2] = {g[half], g[half + 2]};
      F::kernel(own, u + half * F::IN);
    }
  }
  template <class V> static void out(const V* m, V* y) { F::out(m, y); }
  template <class V> static void spread(const V* y, V* z) { F::spread(y, z); }
  template <class V> static void collect(const V* u, V* g) {
    for (int half = 0; half < 2; ++half) {
      V own[2];
      F::collect(u + half * F::IN, own);
      g[half] = own[0], g[half + 2] = own[1];
    }
  }
};

template <class F> struct Up {  // adjoint of Down: even and odd outputs have 2 taps each
  static constexpr int TAPS = 4, IN = F::IN + 1, STEP = F::OUT, MI = 2 * F::IN, MO = 2 * F::IN, OUT = 2 * F::OUT, PARTS = 1;
  static int plane(int a, int b) { return a * MO + b; }
  static int part(int, int) { return 0; }
  template <class V> static void in(const V* d, V* v) { F::in(d, v), F::in(d + 1, v + F::IN); }
  template <class V> static void kernel(const V* g, V* u) {
    const V even[2] = {g[3], g[1]}, odd[2] = {g[2], g[0]};
    F::kernel(even, u), F::kernel(odd, u + F::IN);
  }
  template <class V> static void out(const V* m, V* y) {
    for (int half = 0; half < 2; ++half) {
      V own[F::OUT];
      F::out(m + half * F::IN, own);
      for (int i = 0; i < F::OUT; ++i) y[2 * i + half] = own[i];
    }
  }
};

template <class T> vec<T> load(const T* from, long left) {
  if (left >= Vector<T>::lanes) return *(const vec<T>*)from;
  vec<T> some = {};
  for (long i = 0; i < left; ++i) some[i] = from[i];
  return some;
}

// Like `load`, for numbers at intervals of `step`.
template <class T> vec<T> load_by(const T* from, long step, long left) {
  if (step == 1) return load(from, left);
  vec<T> some = {};
  for (long i = 0; i < std::min(left, long(Vector<T>::lanes)); ++i) some[i] = from[i * step];
  return some;
}

template <class T> void store(const vec<T>& value, T* to, long left) {
  if (left >= Vector<T>::lanes) {
    *(vec<T>*)to = value;
    return;
  }
  for (long i = 0; i < left; ++i) to[i] = value[i];
}

template <class T> void store_by(const vec<T>& value, T* to, long step, long left) {
  if (step == 1) return store(value, to, left);
  for (long i = 0; i < std::min(left, long(Vector<T>::lanes)); ++i) to[i * step] = value[i];
}

template <class T> long filled(long channels) { return (channels + Vector<T>::width - 1) / Vector<T>::width * Vector<T>::width; }

// The distance from one plane to the next. It includes an unused cache line: many planes are written at the same
// offset, and with power-of-two strides, all these writes would fall into the same cache set.
template <class T> long spaced(long numbers) { return numbers + 64 / long(sizeof(T)); }

template <class T> T* room(long count) {
  const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
  return static_cast<T*>(pggan_take ? pggan_take(bytes) : std::aligned_alloc(64, bytes));
}

void give(void* block) { pggan_give ? pggan_give(block) : std::free(block); }

// c[r][0:W] (+)= sum_k a[r][k] b[k][0:W]; a has panels of W columns, b and c have one panel.
template <class T, int R> void rows(const T* a, long panel, long K, const T* b, T* c) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width;
  vec<T> s[R][2] = {};
  for (long k = 0; k < K; k += W, a += panel, b += W * W)
    for (int i = 0; i < W; ++i) {
      const vec<T> left = *(const vec<T>*)(b + i * W), right = *(const vec<T>*)(b + i * W + L);
      for (int r = 0; r < R; ++r) {
        const T x = a[r * W + i];
        s[r][0] += x * left;
        s[r][1] += x * right;
      }
    }
  for (int r = 0; r < R; ++r) {
    *(vec<T>*)(c + r * W) = s[r][0];
    *(vec<T>*)(c + r * W + L) = s[r][1];
  }
}

template <class T> void product(const T* a, long count, long panel, long K, const T* b, T* c) {
  constexpr int W = Vector<T>::width;
  long t = 0;
  for (; t + 6 <= count; t += 6) rows<T, 6>(a + t * W, panel, K, b, c + t * W);
  a += t * W, c += t * W;
  switch (count - t) {
    case 5: rows<T, 5>(a, panel, K, b, c); break;
    case 4: rows<T, 4>(a, panel, K, b, c); break;
    case 3: rows<T, 3>(a, panel, K, b, c); break;
    case 2: rows<T, 2>(a, panel, K, b, c); break;
    case 1: rows<T, 1>(a, panel, K, b, c); break;
  }
}

// c[r][0:W] += sum_t a[t][r] b[t][0:W]
template <class T, int R> void columns(const T* a, const T* b, long count, T* c) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width;
  vec<T> s[R][2];
  for (int r = 0; r < R; ++r) s[r][0] = *(vec<T>*)(c + r * W), s[r][1] = *(vec<T>*)(c + r * W + L);
  for (long t = 0; t < count; ++t) {
    const vec<T> left = *(const vec<T>*)(b + t * W), right = *(const vec<T>*)(b + t * W + L);
    for (int r = 0; r < R; ++r) {
      const T x = a[t * W + r];
      s[r][0] += x * left;
      s[r][1] += x * right;
    }
  }
  for (int r = 0; r < R; ++r) {
    *(vec<T>*)(c + r * W) = s[r][0];
    *(vec<T>*)(c + r * W + L) = s[r][1];
  }
}

struct Shape { long n, h, w, c, o; };  // h, w: tiles

// Transforms the windows of a block of tiles: [plane][k / W][tile][W]
template <class T, class A> void gather(const T* x, const Shape& s, long from, long count, long stride, T* v, const T* zero) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width, I = A::IN, M = A::MI;
  const long H = s.h * A::STEP, X = s.w * A::STEP, panels = filled<T>(s.c) / W;
  const long plane = spaced<T>(panels * A::PARTS * stride * W);
  for (long t = 0; t < count; ++t) {
    const long tile = from + t, n = tile / (s.h * s.w), i = tile / s.w % s.h, j = tile % s.w;
    const T* p[I][I];
    for (int a = 0; a < I; ++a)
      for (int b = 0; b < I; ++b) {
        const long r = i * A::STEP - 1 + a, q = j * A::STEP - 1 + b;
        p[a][b] = r < 0 || r >= H || q < 0 || q >= X ? zero : x + ((n * H + r) * X + q) * s.c;
      }
    for (long c = 0; c < panels * W; c += L) {
      vec<T> half[M][I];
      for (int b = 0; b < I; ++b) {
        vec<T> d[I], e[M];
        for (int a = 0; a < I; ++a) d[a] = load(p[a][b] + c, s.c - c);
        A::in(d, e);
        for (int a = 0; a < M; ++a) half[a][b] = e[a];
      }
      T* to = v + (c / W * stride + t) * W + c % W;
      for (int a = 0; a < M; ++a) {
        vec<T> e[M];
        A::in(half[a], e);
        for (int b = 0; b < M; ++b) *(vec<T>*)(to + A::plane(a, b) * plane + A::part(a, b) * panels * stride * W) = e[b];
      }
    }
  }
}

// Transforms the output gradients of a block of tiles: [plane][o / W][tile][W]
template <class T, class A> void spread(const T* y, const Shape& s, long from, long count, long stride, T* z) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width, O = A::OUT, M = A::MO;
  const long H = s.h * O, X = s.w * O, whole = filled<T>(s.o), plane = spaced<T>(whole * stride);
  for (long t = 0; t < count; ++t) {
    const long tile = from + t, n = tile / (s.h * s.w), i = tile / s.w % s.h, j = tile % s.w;
    const T* base = y + ((n * H + i * O) * X + j * O) * s.o;
    for (long c = 0; c < whole; c += L) {
      vec<T> half[M][O];
      for (int b = 0; b < O; ++b) {
        vec<T> d[O], e[M];
        for (int a = 0; a < O; ++a) d[a] = load(base + (a * X + b) * s.o + c, s.o - c);
        A::spread(d, e);
        for (int a = 0; a < M; ++a) half[a][b] = e[a];
      }
      T* to = z + (c / W * stride + t) * W + c % W;
      for (int a = 0; a < M; ++a) {
        vec<T> e[M];
        A::spread(half[a], e);
        for (int b = 0; b < M; ++b) *(vec<T>*)(to + (a * M + b) * plane) = e[b];
      }
    }
  }
}

template <class T, class A>
void scatter(const T* m, const Shape& s, long from, long count, long stride, const T* bias, T slope, T* y) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width, O = A::OUT, M = A::MO;
  const long H = s.h * O, X = s.w * O, whole = filled<T>(s.o), plane = spaced<T>(whole * stride);
  for (long t = 0; t < count; ++t) {
    const long tile = from + t, n = tile / (s.h * s.w), i = tile / s.w % s.h, j = tile % s.w;
    T* base = y + ((n * H + i * O) * X + j * O) * s.o;
    for (long c = 0; c < s.o; c += L) {
      const T* source = m + (c / W * stride + t) * W + c % W;
      vec<T> half[O][M], add = {};
      if (bias) add = load(bias + c, s.o - c);
      for (int b = 0; b < M; ++b) {
        vec<T> d[M], e[O];
        for (int a = 0; a < M; ++a) d[a] = *(const vec<T>*)(source + (a * M + b) * plane);
        A::out(d, e);
        for (int a = 0; a < O; ++a) half[a][b] = e[a];
      }
      for (int a = 0; a < O; ++a) {
        vec<T> e[O];
        A::out(half[a], e);
        for (int b = 0; b < O; ++b) {
          vec<T> r = e[b] + add;
          r = r > 0 ? r : r * slope;
          store(r, base + (a * X + b) * s.o + c, s.o - c);
        }
      }
    }
  }
}

template <class T, std::size_t... I>
void interleave(const vec<T>& a, const vec<T>& b, vec<T>& low, vec<T>& high, std::index_sequence<I...>) {
  constexpr std::size_t half = sizeof...(I) / 2;
  low = vec<T>{(I % 2 ? b[I / 2] : a[I / 2])...};
  high = vec<T>{(I % 2 ? b[half + I / 2] : a[half + I / 2])...};
}

// Transposes L vectors of L numbers as a matrix: interleaves rows i and i + L / 2, log2(L) times.
template <class T> void transpose(vec<T>* x) {
  constexpr int L = Vector<T>::lanes;
  for (int step = 1; step < L; step *= 2) {
    vec<T> y[L];
    for (int i = 0; i < L / 2; ++i) interleave<T>(x[i], x[i + L / 2], y[2 * i], y[2 * i + 1], std::make_index_sequence<L>());
    for (int i = 0; i < L; ++i) x[i] = y[i];
  }
}

// Transforms the kernels: [plane][o / W][k][W]. `w` is read as w[o * so + c * sc + i * sh + j * sw].
template <class T, class A>
void kernels(const T* w, const Shape& s, long so, long sc, long sh, long sw, T* u, int threads) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width, K = A::TAPS, M = A::MI;
  const long channels = filled<T>(s.c), depth = channels * A::PARTS, plane = spaced<T>(filled<T>(s.o) * depth);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long o = 0; o < s.o; o += W)
    for (long first = 0; first < channels; first += L) {
      const long own = std::min(long(W), s.o - o), some = std::min(long(L), s.c - first);
      // Output channels are adjacent in a panel; in `w`, they are adjacent only for an adjoint.
      vec<T> near[K][K][2][L];
      for (int i = 0; i < K; ++i)
        for (int j = 0; j < K; ++j)
          for (int side = 0; side < 2; ++side) {
            vec<T>* block = near[i][j][side];
            const T* from = w + (o + side * L) * so + first * sc + i * sh + j * sw;
            const long rows = so == 1 ? some : own - side * L, left = so == 1 ? own - side * L : some;
            const long next = so == 1 ? sc : so, step = so == 1 ? 1 : sc;
            for (long q = 0; q < L; ++q) block[q] = q < rows ? load_by<T>(from + q * next, step, left) : vec<T>{};
            if (so != 1) transpose<T>(block);
          }
      for (int r = 0; r < L; ++r)
        for (int side = 0; side < 2; ++side) {
          vec<T> half[M][K];
          for (int j = 0; j < K; ++j) {
            vec<T> d[K], e[M];
            for (int i = 0; i < K; ++i) d[i] = near[i][j][side][r];
            A::kernel(d, e);
            for (int a = 0; a < M; ++a) half[a][j] = e[a];
          }
          T* to = u + o * depth + (first + r) * W + side * L;
          for (int a = 0; a < M; ++a) {
            vec<T> e[M];
            A::kernel(half[a], e);
            for (int b = 0; b < M; ++b) *(vec<T>*)(to + A::plane(a, b) * plane + A::part(a, b) * channels * W) = e[b];
          }
        }
    }
}

template <class T, class A>
void convolve(const T* x, const T* w, const T* bias, T* y, Shape s, long so, long sc, long sh, long sw, double slope, long block, int threads) {
  constexpr int W = Vector<T>::width, P = A::MO * A::MO;
  const long tiles = s.n * s.h * s.w, depth = filled<T>(s.c) * A::PARTS, out = filled<T>(s.o);
  const long kernel = spaced<T>(depth * out);
  T* u = room<T>(P * kernel);
  T* zero = room<T>(s.c);
  std::memset(zero, 0, s.c * sizeof(T));
  kernels<T, A>(w, s, so, sc, sh, sw, u, threads);
  const long turns = (tiles + block * threads - 1) / (block * threads) * threads;
  block = ((tiles + turns - 1) / turns + 5) / 6 * 6;
#pragma omp parallel num_threads(threads)
  {
    const long in = spaced<T>(depth * block), plane = spaced<T>(out * block);
    T* v = room<T>(P * in);
    T* m = room<T>(P * plane);
#pragma omp for schedule(static)
    for (long from = 0; from < tiles; from += block) {
      const long count = std::min(block, tiles - from);
      gather<T, A>(x, s, from, count, block, v, zero);
      for (int p = 0; p < P; ++p)
        for (long o = 0; o < out; o += W)
          product<T>(v + p * in, count, block * W, depth, u + p * kernel + o * depth, m + p * plane + o * block);
      scatter<T, A>(m, s, from, count, block, bias, T(slope), y);
    }
    give(v), give(m);
  }
  give(u), give(zero);
}

template <class T, class A>
void weights(const T* x, const T* y, T* w, Shape s, long so, long sc, long sh, long sw, long block, int threads) {
  constexpr int L = Vector<T>::lanes, W = Vector<T>::width, P = A::MO * A::MO, K = A::TAPS, M = A::MI;
  const long tiles = s.n * s.h * s.w, channels = filled<T>(s.c), depth = channels * A::PARTS, out = filled<T>(s.o);
  block = std::min(block, tiles);
  T* zero = room<T>(s.c);
  std::memset(zero, 0, s.c * sizeof(T));
  const long plane = spaced<T>(depth * out), in = spaced<T>(depth * block), given = spaced<T>(out * block);
  T* u = room<T>(P * plane);  // [plane][o / W][k][W]
  std::memset(u, 0, P * plane * sizeof(T));
  T* v = room<T>(P * in);
  T* z = room<T>(P * given);
#pragma omp parallel num_threads(threads)
  for (long from = 0; from < tiles; from += block) {
    const long count = std::min(block, tiles - from);
    const long small = std::max((count + threads - 1) / threads, 1L);
#pragma omp for schedule(static)
    for (long part = 0; part < count; part += small) {
      const long now = std::min(small, count - part);
      gather<T, A>(x, s, from + part, now, block, v + part * W, zero);
      spread<T, A>(y, s, from + part, now, block, z + part * W);
    }
#pragma omp for schedule(static) collapse(2)
    for (int p = 0; p < P; ++p)
      for (long k = 0; k < depth; k += W) {
        const T* a = v + p * in + k * block;
        for (long o = 0; o < out; o += W) {
          const T* b = z + p * given + o * block;
          T* c = u + p * plane + o * depth + k * W;
          int r = 0;
          for (; r + 6 <= W; r += 6) columns<T, 6>(a + r, b, count, c + r * W);
          for (; r + 4 <= W; r += 4) columns<T, 4>(a + r, b, count, c + r * W);
          for (; r < W; r += 2) columns<T, 2>(a + r, b, count, c + r * W);
        }
      }
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long o = 0; o < s.o; o += W)
    for (long first = 0; first < s.c; first += L) {
      const long own = std::min(long(W), s.o - o), some = std::min(long(L), s.c - first);
      vec<T> near[K][K][2][L];
      for (int r = 0; r < L; ++r)
        for (int side = 0; side < 2; ++side) {
          const T* from = u + o * depth + (first + r) * W + side * L;
          vec<T> half[K][M];
          for (int b = 0; b < M; ++b) {
            vec<T> d[M], e[K];
            for (int a = 0; a < M; ++a) d[a] = *(const vec<T>*)(from + A::plane(a, b) * plane + A::part(a, b) * channels * W);
            A::collect(d, e);
            for (int i = 0; i < K; ++i) half[i][b] = e[i];
          }
          for (int i = 0; i < K; ++i) {
            vec<T> e[K];
            A::collect(half[i], e);
            for (int j = 0; j < K; ++j) near[i][j][side][r] = e[j];
          }
        }
      for (int i = 0; i < K; ++i)
        for (int j = 0; j < K; ++j)
          for (int side = 0; side < 2; ++side) {
            vec<T>* block = near[i][j][side];
            transpose<T>(block);
            T* to = w + (o + side * L) * so + first * sc + i * sh + j * sw;
            for (long q = 0; q < std::min(own - side * L, long(L)); ++q) store_by(block[q], to + q * so, sc, some);
          }
    }
  give(zero), give(u), give(v), give(z);
}

constexpr long SMALL = 1 << 14;  // up to this count of numbers, a second thread does not pay off

template <class T> T sum(const vec<T>& lanes) {
  T total = 0;
  for (int i = 0; i < Vector<T>::lanes; ++i) total += lanes[i];
  return total;
}

// y = x r, r = 1 / sqrt(mean(x^2) + epsilon), for each row of channels, in one pass over memory.
template <class T> void normalize(const T* x, T* y, T* scale, long rows, long channels, T epsilon, int threads) {
  constexpr int L = Vector<T>::lanes;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * channels > SMALL)
  for (long row = 0; row < rows; ++row) {
    const T* from = x + row * channels;
    T* to = y + row * channels;
    vec<T> squares = {};
    for (long c = 0; c < channels; c += L) {
      const vec<T> some = load(from + c, channels - c);
      squares += some * some;
    }
    const T r = T(1) / std::sqrt(sum<T>(squares) / T(channels) + epsilon);
    for (long c = 0; c < channels; c += L) store<T>(load(from + c, channels - c) * r, to + c, channels - c);
    scale[row] = r;
  }
}

// The gradient of x: r (g - y mean(g y)).
template <class T>
void normalize_backward(const T* g, const T* y, const T* scale, T* to_x, long rows, long channels, int threads) {
  constexpr int L = Vector<T>::lanes;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * channels > SMALL)
  for (long row = 0; row < rows; ++row) {
    const T *gradient = g + row * channels, *output = y + row * channels;
    T* to = to_x + row * channels;
    vec<T> products = {};
    for (long c = 0; c < channels; c += L) products += load(gradient + c, channels - c) * load(output + c, channels - c);
    const T along = sum<T>(products) / T(channels), r = scale[row];
    for (long c = 0; c < channels; c += L)
      store<T>((load(gradient + c, channels - c) - load(output + c, channels - c) * along) * r, to + c, channels - c);
  }
}
}  // namespace

using Convolve = decltype(&convolve<NUMBER, Same<F23>>);
using Weights = decltype(&weights<NUMBER, Same<F23>>);

// kind: index in `kinds`; shape: samples, tiles along height and width, input and output channels; strides: strides
// of `w` along output channel, input channel, height and width; slope: slope of a leaky ReLU, 1 for none; block: number
// of tiles processed at a time.
extern "C" void convolve(int kind, const NUMBER* x, const NUMBER* w, const NUMBER* bias, NUMBER* y, const long* shape,
                         const long* strides, double slope, long block, int threads) {
  constexpr Convolve kinds[] = {convolve<NUMBER, Same<F23>>, convolve<NUMBER, Same<F43>>, convolve<NUMBER, Down<F22>>,
                                convolve<NUMBER, Down<F42>>, convolve<NUMBER, Up<F22>>,   convolve<NUMBER, Up<F42>>};
  kinds[kind](x, w, bias, y, {shape[0], shape[1], shape[2], shape[3], shape[4]}, strides[0], strides[1], strides[2],
              strides[3], slope, block, threads);
}

// The gradient `w` of the kernels from inputs `x` and output gradients `y`; shape as in the forward pass.
extern "C" void weights(int kind, const NUMBER* x, const NUMBER* y, NUMBER* w, const long* shape, const long* strides,
                        long block, int threads) {
  constexpr Weights kinds[] = {weights<NUMBER, Same<F23>>, weights<NUMBER, Same<F43>>, weights<NUMBER, Down<F22>>,
                               weights<NUMBER, Down<F42>>};
  kinds[kind](x, y, w, {shape[0], shape[1], shape[2], shape[3], shape[4]}, strides[0], strides[1], strides[2],
              strides[3], block, threads);
}

// Pixel norm of rows of channels, and its gradient; scale: [rows].
extern "C" void normalize(const NUMBER* x, NUMBER* y, NUMBER* scale, long rows, long channels, double epsilon, int threads) {
  normalize<NUMBER>(x, y, scale, rows, channels, NUMBER(epsilon), threads);
}

extern "C" void normalize_backward(const NUMBER* gradient, const NUMBER* y, const NUMBER* scale, NUMBER* to_x, long rows,
                                   long channels, int threads) {
  normalize_backward<NUMBER>(gradient, y, scale, to_x, rows, channels, threads);
}

#include "shrink.h"

#include <algorithm>
#include <cmath>

namespace idrn {
namespace {

// Outputs lie within 1 / GAP of an input pixel of where they belong.
constexpr int64_t GAP = 8;
// What the two weights of an axis add up to.
constexpr uint32_t WHOLE = 256;

int64_t divided_up(int64_t value, int64_t by) {
    return (value + by - 1) / by;
}

// From `edge` to the nearest multiple of `unit`.
int64_t gap(int64_t edge, int64_t unit) {
    return std::min(edge % unit, (unit - edge % unit) % unit);
}

}  // namespace

std::optional<Part> make_part(int64_t size_in, int64_t size_out, Range outputs, int64_t offset,
                              Range inside) {
    const int64_t lowest = divided_up((offset + inside.first) * size_out, size_in);
    if (size_out > size_in || outputs.first < lowest ||
        outputs.last * size_in > (offset + inside.last) * size_out) {
        return std::nullopt;
    }
    int64_t start = outputs.first;
    for (int64_t output = start; output >= lowest; --output) {
        start = gap(output * size_in, size_out) < gap(start * size_in, size_out) ? output : start;
    }
    int halvings = 0;
    while (size_out << (halvings + 1) <= size_in) {
        ++halvings;
    }
    const int64_t step = int64_t{1} << halvings;
    const double factor = static_cast<double>(size_out * step) / static_cast<double>(size_in);
    const int64_t first = (2 * start * size_in + size_out) / (2 * size_out) - offset;
    // The last output's second tap may lie one pixel on.
    const int64_t length = divided_up((outputs.last - start) * size_in, size_out) + step;
    const int64_t end = std::min(first + length, inside.last);
    const auto halved = static_cast<double>(divided_up(end - first, step));
    // Python's resize copies a picture that keeps its size, whatever the factor.
    const bool copied = factor < 1 && std::nearbyint(halved * factor) == halved;
    if (copied || GAP * gap(start * size_in, size_out) > size_out) {
        return std::nullopt;
    }
    return Part{{first, end}, halvings, factor, {outputs.first - start, outputs.last - start}};
}

void Shrinker::Pairs::set(int64_t size_in, double factor, Range outputs) {
    first.clear();
    second.clear();
    weights.clear();
    const double step = 1 / factor;
    for (int64_t i = outputs.first; i < outputs.last; ++i) {
        const double at = (static_cast<double>(i) + 0.5) * step - 0.5;
        const double place = std::floor(at);
        const auto before = static_cast<int64_t>(place);
        first.push_back(static_cast<size_t>(std::clamp<int64_t>(before, 0, size_in - 1)));
        second.push_back(static_cast<size_t>(std::clamp<int64_t>(before + 1, 0, size_in - 1)));
        weights.push_back(static_cast<uint32_t>(std::nearbyint(WHOLE * (at - place))));
    }
}

// The picture, of which `height` rows are read, by rows_ and columns_.
Pixels Shrinker::step(Pixels picture, int64_t height, std::vector<uint8_t> &out) {
    const size_t width = columns_.weights.size(), size = width * 3, count = rows_.weights.size();
    wide_.resize(static_cast<size_t>(height) * size);
    uint16_t *wide = wide_.data();
    for (size_t y = 0; y < static_cast<size_t>(height); ++y) {
        const uint8_t *line = picture.first + y * picture.stride_bytes;
        for (size_t x = 0; x < width; ++x, wide += 3) {
            const uint8_t *a = line + columns_.first[x] * 3, *b = line + columns_.second[x] * 3;
            const uint32_t weight = columns_.weights[x];
            for (size_t c = 0; c < 3; ++c) {
                wide[c] = static_cast<uint16_t>(a[c] * (WHOLE - weight) + b[c] * weight);
            }
        }
    }
    out.resize(count * size);
    uint8_t *to = out.data();
    for (size_t y = 0; y < count; ++y, to += size) {
        const uint16_t *a = wide_.data() + rows_.first[y] * size, *b = wide_.data() + rows_.second[y] * size;
        const uint32_t weight = rows_.weights[y];
        for (size_t x = 0; x < size; ++x) {
            const uint32_t sum = a[x] * (WHOLE - weight) + b[x] * weight;
            to[x] = static_cast<uint8_t>((sum + WHOLE * WHOLE / 2) / (WHOLE * WHOLE));
        }
    }
    return {out.data(), size};
}

Pixels Shrinker::shrink(Pixels picture, const Part &rows, const Part &columns) {
    int64_t height = rows.read.last - rows.read.first, width = columns.read.last - columns.read.first;
    picture.skip(rows.read.first, columns.read.first);
    for (int i = 0; i < std::max(rows.halvings, columns.halvings); ++i) {
        const bool down = i < rows.halvings, across = i < columns.halvings;
        const int64_t low = down ? divided_up(height, 2) : height;
        const int64_t narrow = across ? divided_up(width, 2) : width;
        rows_.set(height, down ? 0.5 : 1, {0, low});
        columns_.set(width, across ? 0.5 : 1, {0, narrow});
        picture = step(picture, height, made_[i % 2]);
        height = low;
        width = narrow;
    }
    if (rows.factor == 1 && columns.factor == 1) {
        picture.skip(rows.wanted.first, columns.wanted.first);
        return picture;
    }
    rows_.set(height, rows.factor, rows.wanted);
    columns_.set(width, columns.factor, columns.wanted);
    return step(picture, height, made_[std::max(rows.halvings, columns.halvings) % 2]);
}

}  // namespace idrn

#include "engine/base/regex_shim.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <re2/re2.h>
#include <string>

struct re2_shim {
    re2::RE2 re;
    std::string exact_text; // "": re is exact
    size_t exact_bytes_max = 0;
    mutable std::once_flag exact_once;
    mutable std::unique_ptr<re2::RE2> exact;
    mutable std::atomic<size_t> exact_size{0};
    re2_shim(const re2::StringPiece &pattern, const re2::RE2::Options &options)
        : re(pattern, options)
    {
    }
};

static re2::RE2::Options options_of(size_t bytes_max)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(static_cast<int64_t>(bytes_max));
    options.set_encoding(re2::RE2::Options::EncodingUTF8);
    return options;
}

static bool exact_matches(const struct re2_shim *r, const re2::StringPiece &text,
                          re2::RE2::Anchor anchor)
{
    std::call_once(r->exact_once, [r] {
        r->exact = std::make_unique<re2::RE2>(r->exact_text, options_of(r->exact_bytes_max));
        r->exact_size = static_cast<size_t>(r->exact->ProgramSize());
    });
    return r->exact->Match(text, 0, text.size(), anchor, nullptr, 0);
}

static bool is_ascii(const re2::StringPiece &text)
{
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

struct re2_shim *re2_shim_create(const char *p, size_t n, size_t bytes_max,
                                 struct re2_shim_error *error)
{
    auto *r = new re2_shim(re2::StringPiece(p, n), options_of(bytes_max));
    if (r->re.ok())
        return r;
    error->is_too_large = r->re.error_code() == re2::RE2::ErrorPatternTooLarge;
    const std::string &text = r->re.error();
    const size_t size = text.size() < sizeof error->text - 1 ? text.size() : sizeof error->text - 1;
    memcpy(error->text, text.data(), size);
    error->text[size] = '\0';
    delete r;
    return nullptr;
}

void re2_shim_set_exact(struct re2_shim *r, const char *exact, size_t n, size_t bytes_max)
{
    r->exact_text.assign(exact, n);
    r->exact_bytes_max = bytes_max;
}

void re2_shim_destroy(struct re2_shim *r)
{
    delete r;
}

size_t re2_shim_size(const struct re2_shim *r)
{
    return static_cast<size_t>(r->re.ProgramSize()) + r->exact_size;
}

bool re2_shim_match(const struct re2_shim *r, const char *p, size_t n, bool anchored,
                    struct re2_shim_span *groups, size_t groups_count)
{
    constexpr size_t many = 101;
    re2::StringPiece found[many];
    const size_t want = groups_count < many ? groups_count : many;
    const auto anchor = anchored ? re2::RE2::ANCHOR_BOTH : re2::RE2::UNANCHORED;
    const re2::StringPiece text(p ? p : "", n);
    if (!r->re.Match(text, 0, n, anchor, found, static_cast<int>(want)))
        return false;
    if (!r->exact_text.empty() && !is_ascii(text))
        return exact_matches(r, text, anchor); // of which no groups are asked
    for (size_t i = 0; i < want; i++)
        groups[i] = {found[i].data(), found[i].size()};
    return true;
}

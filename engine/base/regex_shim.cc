#include "engine/base/regex_shim.h"

#include <cstring>
#include <re2/re2.h>
#include <string>

struct re2_shim {
    re2::RE2 re;
    re2_shim(const re2::StringPiece &pattern, const re2::RE2::Options &options)
        : re(pattern, options)
    {
    }
};

struct re2_shim *re2_shim_create(const char *p, size_t n, size_t bytes_max,
                                 struct re2_shim_error *error)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(static_cast<int64_t>(bytes_max));
    options.set_encoding(re2::RE2::Options::EncodingUTF8);
    auto *r = new re2_shim(re2::StringPiece(p, n), options);
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

void re2_shim_destroy(struct re2_shim *r)
{
    delete r;
}

size_t re2_shim_size(const struct re2_shim *r)
{
    return static_cast<size_t>(r->re.ProgramSize());
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
    for (size_t i = 0; i < want; i++)
        groups[i] = {found[i].data(), found[i].size()};
    return true;
}

#include "engine/base/regex_shim.h"

#include <cstring>
#include <re2/re2.h>
#include <string>
#include <vector>

struct re2_shim {
    re2::RE2 re;
    re2_shim(const re2::StringPiece &pattern, const re2::RE2::Options &options)
        : re(pattern, options)
    {
    }
};

struct re2_shim *re2_shim_create(const char *p, size_t n, bool literal_dot_all,
                                 struct re2_shim_error *error)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_dot_nl(literal_dot_all);
    options.set_max_mem(32 << 20);
    options.set_encoding(re2::RE2::Options::EncodingUTF8);
    auto *r = new re2_shim(re2::StringPiece(p, n), options);
    if (r->re.ok())
        return r;
    error->code = static_cast<int>(r->re.error_code());
    const std::string &arg = r->re.error_arg();
    const size_t size = arg.size() < sizeof error->arg - 1 ? arg.size() : sizeof error->arg - 1;
    memcpy(error->arg, arg.data(), size);
    error->arg[size] = '\0';
    delete r;
    return nullptr;
}

void re2_shim_destroy(struct re2_shim *r)
{
    delete r;
}

size_t re2_shim_groups_count(const struct re2_shim *r)
{
    return static_cast<size_t>(r->re.NumberOfCapturingGroups());
}

int re2_shim_group_index(const struct re2_shim *r, const char *name, size_t n)
{
    const auto &names = r->re.NamedCapturingGroups();
    const auto at = names.find(std::string(name, n));
    return at == names.end() ? -1 : at->second;
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

bool re2_shim_range(const struct re2_shim *r, char *low, size_t *low_n, char *high, size_t *high_n,
                    size_t max)
{
    std::string from, to;
    if (!r->re.PossibleMatchRange(&from, &to, static_cast<int>(max)))
        return false;
    memcpy(low, from.data(), from.size());
    memcpy(high, to.data(), to.size() < max ? to.size() : max);
    *low_n = from.size();
    *high_n = to.size() < max ? to.size() : max;
    return true;
}

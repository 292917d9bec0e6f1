#include "io/symbol.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// The symbol table of the executable is read from its file, each time: this is asked for seldom,
// and the dynamic table has no static functions.

struct image {
    const char *p;
    size_t size;
    uintptr_t base; // what the addresses in the file are relative to
};

static int note_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uintptr_t *)arg = info->dlpi_addr;
    return 1; // the first one is the program
}

static bool image_open(struct image *image)
{
    struct stat st;
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *p = MAP_FAILED;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(ElfW(Ehdr)))
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return false;
    *image = (struct image){.p = p, .size = (size_t)st.st_size};
    dl_iterate_phdr(note_base, &image->base);
    return true;
}

// n bytes of the file at offset; NULL: it has not that many.
static const void *part(const struct image *image, uint64_t offset, uint64_t n)
{
    return offset <= image->size && n <= image->size - offset ? image->p + offset : NULL;
}

// The name of the function that holds address; NULL: none, or the file is not as expected.
static const char *find(const struct image *image, uintptr_t address)
{
    const ElfW(Ehdr) *header = part(image, 0, sizeof *header);
    const ElfW(Shdr) *sections =
        part(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof *sections);
    for (size_t i = 0; sections && i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum)
            continue;
        const ElfW(Shdr) *texts = &sections[sections[i].sh_link];
        const char *text = part(image, texts->sh_offset, texts->sh_size);
        const ElfW(Sym) *symbols = part(image, sections[i].sh_offset, sections[i].sh_size);
        if (!symbols || !text || !texts->sh_size || text[texts->sh_size - 1] != '\0')
            continue;
        for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++) {
            const ElfW(Sym) *s = &symbols[k];
            if ((s->st_info & 0xf) == STT_FUNC && address >= s->st_value &&
                address - s->st_value < s->st_size && s->st_name < texts->sh_size)
                return text + s->st_name;
        }
    }
    return NULL;
}

static size_t clip(int n)
{
    return n < SYMBOL_TEXT_MAX ? (size_t)n : SYMBOL_TEXT_MAX - 1;
}

size_t symbol_text(const void *pc, char out[static SYMBOL_TEXT_MAX])
{
    struct image image;
    if (image_open(&image)) {
        const char *name = find(&image, (uintptr_t)pc - image.base);
        const int n = name ? snprintf(out, SYMBOL_TEXT_MAX, "%s", name) : 0;
        munmap((void *)(uintptr_t)image.p, image.size);
        if (n > 0)
            return clip(n);
    }
    Dl_info info;
    if (dladdr(pc, &info) && info.dli_fname) {
        const char *slash = strrchr(info.dli_fname, '/');
        return clip(snprintf(out, SYMBOL_TEXT_MAX, "%s+0x%zx", slash ? slash + 1 : info.dli_fname,
                             (size_t)((uintptr_t)pc - (uintptr_t)info.dli_fbase)));
    }
    return clip(snprintf(out, SYMBOL_TEXT_MAX, "%p", pc));
}

/* The program in the suite's images: tells the FNV-1a hash of /large and what /small says, so that its output shows that every
   layer arrived whole. Linked statically, since the images hold nothing else. */
#include <stdint.h>
#include <stdio.h>

static FILE *open_or_say(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) perror(path);
    return file;
}

int main(void) {
    FILE *large = open_or_say("/large"), *small = open_or_say("/small");
    if (!large || !small) return 1;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int byte;
    while ((byte = getc(large)) != EOF) hash = (hash ^ (uint64_t)byte) * UINT64_C(0x100000001b3);
    printf("%016llx ", (unsigned long long)hash);
    while ((byte = getc(small)) != EOF) putchar(byte);
    return 0;
}

/* The frame of docs/protocol.md, written from that page alone and for the tests only: COBS, CRC-32C, frames, rejects.
 * A line of stdin asks, a line of stdout answers; hex of no bytes is "-":
 *   T type least record count tail {offset size}   a message: bytes of head and count, of a record, of the count; texts
 *   C data -> crc    S raw -> stuffed    U stuffed -> raw or COBS
 *   F version type seq payload trailer -> wire    R wire -> cause, or version type seq payload trailer */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUN = 537, MOST_PAYLOAD = 512, HEADER = 6, TRAILER = 12, CRC = 4, ROOM = 8192, WORDS = 24 };
static struct message { int known, least, record, count, tail, texts, text[WORDS]; } messages[256];
struct frame { unsigned version, type, seq; const uint8_t *payload, *trailer; size_t bytes; };

static uint32_t crc32c(const uint8_t *data, size_t size) {
    uint32_t crc = 0xFFFFFFFFu;
    while (size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
    }
    return crc ^ 0xFFFFFFFFu;
}

static size_t stuff(const uint8_t *raw, size_t size, uint8_t *out) {
    size_t code = 0, at = 1;
    for (size_t i = 0; i < size; i++) {
        if (raw[i])
            out[at++] = raw[i];
        if (raw[i] && at - code < 255)
            continue;
        out[code] = (uint8_t)(at - code);
        if (raw[i] && i + 1 == size)
            return at; /* nothing follows a piece of 254 bytes at the end */
        code = at++;
    }
    out[code] = (uint8_t)(at - code);
    return at;
}

static long unstuff(const uint8_t *run, size_t size, uint8_t *out) { /* negative where it is not COBS */
    size_t made = 0;
    for (size_t at = 0, code; at < size; at += code) {
        code = run[at];
        if (code == 0 || at + code > size)
            return -1;
        memcpy(out + made, run + at + 1, code - 1);
        made += code - 1;
        if (code < 255 && at + code < size)
            out[made++] = 0;
    }
    return (long)made;
}

static int utf8(const uint8_t *text, const uint8_t *end) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    while (text < end) {
        int more = *text < 0x80 ? 0 : *text >> 5 == 6 ? 1 : *text >> 4 == 14 ? 2 : *text >> 3 == 30 ? 3 : 9;
        uint32_t point = more ? *text & 0x3Fu >> more : *text;
        if (end - text++ <= more)
            return 0;
        for (int k = 0; k < more; k++, text++) {
            if (*text >> 6 != 2)
                return 0;
            point = point << 6 | (*text & 0x3Fu);
        }
        if (point < least[more] || point > 0x10FFFF || point >> 11 == 0xD800 >> 11)
            return 0;
    }
    return 1;
}

static int fits(const struct message *m, const uint8_t *payload, int size) {
    int count = 0;
    if (size < m->least || (!m->tail && !m->record && size != m->least))
        return 0;
    for (int k = 0; k < m->count; k++)
        count |= payload[m->least - m->count + k] << 8 * k;
    for (int t = 0; t + 1 < m->texts; t += 2)
        if (!utf8(payload + m->text[t], payload + m->text[t] + m->text[t + 1]))
            return 0;
    return !m->record || size == m->least + count * m->record;
}

static const char *read_run(const uint8_t *run, size_t size, uint8_t *raw, struct frame *f) { /* the cause, or NULL */
    long made = size > MOST_RUN ? 0 : unstuff(run, size, raw), end = made - CRC;
    if (size > MOST_RUN || made < HEADER + CRC)
        return size > MOST_RUN ? "TOO_LONG" : made < 0 ? "COBS" : "SHORT";
    if (crc32c(raw, (size_t)end) != (raw[end] | raw[end + 1] << 8 | raw[end + 2] << 16 | (uint32_t)raw[end + 3] << 24))
        return "CRC";
    *f = (struct frame){raw[0], raw[1], raw[2] | raw[3] << 8u, raw + HEADER, NULL, (size_t)end - HEADER};
    if (f->version & 0x0E || (f->version >> 4 != 1 && f->type != 0x01 && f->type != 0x81))
        return "VERSION";
    if (f->version & 1 && f->bytes >= TRAILER)
        f->trailer = f->payload + (f->bytes -= TRAILER);
    if (!f->trailer != !(f->version & 1) || f->bytes != (size_t)(raw[4] | raw[5] << 8) || f->bytes > MOST_PAYLOAD)
        return "LENGTH";
    if (!messages[f->type].known)
        return "UNKNOWN_TYPE";
    return fits(&messages[f->type], f->payload, (int)f->bytes) ? NULL : "PAYLOAD";
}

static size_t hex(const char *text, uint8_t *out) {
    size_t size = 0;
    for (; sscanf(text + 2 * size, "%2hhx", out + size) == 1; size++) {}
    return size;
}

static void show(const uint8_t *data, size_t size, char end) {
    for (size_t i = 0; i < size; i++)
        printf("%02x", data[i]);
    printf("%s%c", size ? "" : "-", end);
}

int main(void) {
    static char line[4 * ROOM], *word[WORDS];
    static uint8_t in[ROOM], out[ROOM];
    for (int n, v[WORDS]; fgets(line, sizeof line, stdin);) {
        for (n = 0; n < WORDS && (word[n] = strtok(n ? NULL : line, " \n")); n++)
            v[n] = atoi(word[n]);
        struct frame f = {0};
        long size = (long)hex(word[*line == 'F' ? 4 : 1], *line == 'F' ? in + HEADER : in), made;
        if (*line == 'T') {
            messages[v[1]] = (struct message){1, v[2], v[3], v[4], v[5], n - 6, {0}};
            memcpy(messages[v[1]].text, v + 6, sizeof *v * (size_t)(n - 6));
        } else if (*line == 'C') {
            printf("%08x\n", crc32c(in, (size_t)size));
        } else if (*line == 'S') {
            show(out, stuff(in, (size_t)size, out), '\n');
        } else if (*line == 'U' && (made = unstuff(in, (size_t)size, out)) >= 0) {
            show(out, (size_t)made, '\n');
        } else if (*line == 'F') {
            memcpy(in, (uint8_t[]){v[1], v[2], v[3], v[3] >> 8, size, size >> 8}, HEADER);
            made = HEADER + size + (long)hex(word[5], in + HEADER + size);
            uint32_t crc = crc32c(in, (size_t)made);
            memcpy(in + made, (uint8_t[]){crc, crc >> 8, crc >> 16, crc >> 24}, CRC);
            made = (long)stuff(in, (size_t)made + CRC, out + 1);
            out[0] = out[made + 1] = 0;
            show(out, (size_t)made + 2, '\n');
        } else {
            const char *cause = *line == 'U' ? "COBS" : read_run(in + 1, (size_t)size - 2, out, &f);
            if (cause)
                puts(cause);
            else
                printf("%u %u %u ", f.version, f.type, f.seq), show(f.payload, f.bytes, ' '),
                    show(f.trailer, f.trailer ? TRAILER : 0, '\n');
        }
    }
}

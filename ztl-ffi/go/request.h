// What the two calls of a request have in common. Included by Go's preambles, never installed.
#ifndef GOZ_REQUEST_H
#define GOZ_REQUEST_H

#include <ztl.h>

static inline ztl_str goz_str(const void *ptr, size_t len)
{
    ztl_str str;
    str.ptr = len ? (const uint8_t *)ptr : NULL;
    str.len = len;
    return str;
}

// Texts one after the other: method, target, then name and value of each field, for which there is room in headers.
static inline void goz_request(ztl_action_request *request, ztl_header *headers, const uint8_t *arena, const uint32_t *lens,
                               size_t fields, uint64_t now)
{
    size_t i;
    request->size = (uint32_t)sizeof *request;
    request->flags = 0;
    request->method = goz_str(arena, lens[0]);
    arena += lens[0];
    request->target = goz_str(arena, lens[1]);
    arena += lens[1];
    request->upgrade = goz_str(NULL, 0);
    for (i = 0; i < fields; i++) {
        headers[i].name = goz_str(arena, lens[2 + 2 * i]);
        arena += lens[2 + 2 * i];
        headers[i].value = goz_str(arena, lens[3 + 2 * i]);
        arena += lens[3 + 2 * i];
    }
    request->headers = fields ? headers : NULL;
    request->headers_len = fields;
    request->now_unix = now;
    request->trust_score = -1;
    request->reserved = 0;
    request->claims = NULL;
}

#endif

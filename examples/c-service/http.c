#include "http.h"

#include <string.h>
#include <strings.h>

int is(ztl_str text, const char *what)
{
    return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

static int is_named(ztl_str name, const char *what)
{
    return name.len == strlen(what) && strncasecmp((const char *)name.ptr, what, name.len) == 0;
}

static int is_token(unsigned char c)
{
    return c > ' ' && c < 127 && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

/* What stands before `end`, which is taken as well; NULL where it is not there. */
static const char *until(const char **at, const char *stop, char end, ztl_str *out)
{
    const char *found = memchr(*at, end, (size_t)(stop - *at));
    if (found == NULL) {
        return NULL;
    }
    out->ptr = (const uint8_t *)*at;
    out->len = (size_t)(found - *at);
    *at = found + 1;
    return found;
}

static int all_token(ztl_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_token(text.ptr[i])) {
            return 0;
        }
    }
    return text.len > 0;
}

static ztl_str trimmed(ztl_str text)
{
    while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* RFC 9112 §6: a body whose length two readers could tell differently is refused. */
static int take_length(request *out, ztl_str value, int *had)
{
    size_t length = 0;
    if (*had || value.len == 0) {
        return -1;
    }
    *had = 1;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9' || length > MAX_BODY) {
            return -1;
        }
        length = length * 10 + (size_t)(value.ptr[i] - '0');
    }
    out->body_len = length;
    return length > MAX_BODY ? -1 : 0;
}

int request_read(request *out, const char *head, size_t len)
{
    const char *at = head, *stop = head + len;
    ztl_str line;
    int had_length = 0;
    memset(out, 0, sizeof *out);
    if (memchr(head, '\0', len) != NULL || until(&at, stop, ' ', &out->method) == NULL || !all_token(out->method)
        || until(&at, stop, ' ', &out->target) == NULL || out->target.len == 0 || until(&at, stop, '\n', &line) == NULL
        || !is(line, "HTTP/1.1\r") || memchr(out->target.ptr, '\n', out->target.len) != NULL) {
        return -1;
    }
    for (;;) {
        ztl_header field;
        const char *name = at;
        if (until(&at, stop, '\n', &line) == NULL || line.len == 0 || line.ptr[line.len - 1] != '\r'
            || memchr(line.ptr, '\r', line.len - 1) != NULL) {
            return -1;
        }
        line.len--;
        if (line.len == 0) {
            return 0;
        }
        if (out->fields_len == MAX_FIELDS || until(&name, (const char *)line.ptr + line.len, ':', &field.name) == NULL
            || !all_token(field.name)) {
            return -1;
        }
        field.value.ptr = (const uint8_t *)name;
        field.value.len = line.len - field.name.len - 1;
        field.value = trimmed(field.value);
        if (is_named(field.name, "transfer-encoding")
            || (is_named(field.name, "content-length") && take_length(out, field.value, &had_length) != 0)) {
            return -1;
        }
        out->fields[out->fields_len++] = field;
    }
}

int matches(ztl_str target, const char *before, const char *after, char *segment, size_t room)
{
    const size_t head = strlen(before), tail = strlen(after);
    const uint8_t *query = memchr(target.ptr, '?', target.len);
    const size_t len = query == NULL ? target.len : (size_t)(query - target.ptr);
    if (len <= head + tail || len - head - tail >= room || memcmp(target.ptr, before, head) != 0
        || memcmp(target.ptr + len - tail, after, tail) != 0) {
        return 0;
    }
    for (size_t i = 0; i < len - head - tail; i++) {
        const char c = (char)target.ptr[head + i];
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", c) == NULL || c == '\0') {
            return 0;
        }
        segment[i] = c;
    }
    segment[len - head - tail] = '\0';
    return 1;
}

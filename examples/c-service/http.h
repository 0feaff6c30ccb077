/* As much of HTTP/1.1 as one request of a connection needs. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>
#include <ztl.h>

enum { MAX_HEAD = 8192, MAX_FIELDS = 64, MAX_BODY = 65536 };

/* A request. Its texts lie in the head that it was read from, raw, as ztl wants them. */
typedef struct request {
    ztl_str method;
    ztl_str target;
    ztl_header fields[MAX_FIELDS];
    size_t fields_len;
    size_t body_len;
} request;

/* Reads a head, which ends with the empty line. 0, or -1 for what has no one reading. */
int request_read(request *out, const char *head, size_t len);

/* Whether a text is this one, and whether a field's name is, in any case. */
int is(ztl_str text, const char *what);

/* The one segment {} of a path such as "/v1/models/{}/infer", as a text of letters, digits, '.', '_' and '-' ended by NUL. */
int matches(ztl_str target, const char *before, const char *after, char *segment, size_t room);

#endif

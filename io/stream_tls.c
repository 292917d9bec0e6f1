#include "io/stream_state.h"

err stream_become_tls(struct stream *s, struct tls *tls, const char *host, struct errmsg *e)
{
    (void)s, (void)tls, (void)host;
    return err_set(e, ERR_IO, "TLS is not there yet");
}

err stream_handshake(struct stream *s, struct errmsg *e)
{
    (void)s;
    return err_set(e, ERR_IO, "TLS is not there yet");
}

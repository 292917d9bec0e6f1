#include "tests/lib/http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BODY_MAX = 256 * 1024, ANSWER_MAX = 4096 };

static const char get_text[] = "GET /api/v1/query?query=up HTTP/1.1\r\nHost: localhost:9090\r\n"
                               "User-Agent: bench\r\nAccept: application/json\r\n\r\n";

static void die(const char *what)
{
    perror(what);
    _exit(1);
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void ask(int fd, const struct http_load *load, const char *body)
{
    char head[256];
    const int n = load->body ? snprintf(head, sizeof head,
                                        "POST /api/v1/write HTTP/1.1\r\nHost: localhost:9090\r\n"
                                        "Content-Length: %zu\r\n\r\n",
                                        load->body)
                             : snprintf(head, sizeof head, "%s", get_text);
    if (write(fd, head, (size_t)n) != n)
        die("write");
    for (size_t done = 0; done < load->body;) {
        const ssize_t wrote = write(fd, body + done, load->body - done);
        if (wrote <= 0)
            die("write");
        done += (size_t)wrote;
    }
}

void http_load_run(uint16_t port, const struct http_load *load)
{
    static char body[BODY_MAX];
    struct pollfd fds[CONNECTIONS_MAX];
    for (int i = 0; i < load->connections; i++) {
        fds[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
        ask(fds[i].fd, load, body);
    }
    for (int done = 0; done < load->requests;) {
        if (poll(fds, (nfds_t)load->connections, -1) < 0)
            die("poll");
        for (int i = 0; i < load->connections; i++) {
            char answer[ANSWER_MAX];
            if (!(fds[i].revents & POLLIN))
                continue;
            if (read(fds[i].fd, answer, sizeof answer) <= 0)
                die("read");
            if (++done + load->connections <= load->requests)
                ask(fds[i].fd, load, body);
        }
    }
    _exit(0);
}

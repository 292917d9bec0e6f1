// The server.
#include "engine/server/server.h"

int main(int argc, char **argv)
{
    return server_run(argc, (const char *const *)argv);
}

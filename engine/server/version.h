// What this program calls itself, and the Prometheus it stands in for.
#ifndef ENGINE_SERVER_VERSION_H
#define ENGINE_SERVER_VERSION_H

#define FERULA_VERSION "0.1.0"
#define PROMETHEUS_VERSION "3.14.0"

#endif

// Native histograms as Prometheus prints them: {count:5, sum:18.4, [-0.001,0.001]:1, (1,2]:4}
#ifndef TOOLS_PROMTOOL_HISTOGRAM_TEXT_H
#define TOOLS_PROMTOOL_HISTOGRAM_TEXT_H

#include "engine/model/histogram.h"

void histogram_text(const struct histogram *h, struct buf *out);

#endif

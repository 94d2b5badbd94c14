package signalweb

import (
	"fmt"
	"strings"
)

// plot is a picture of the last hour, by minute.
type plot struct {
	Width, Height int
	Sent, Failed  string // what to draw
	Text          string // the same in words
}

// newPlot draws bars. Failed ones stand on those that were sent.
func newPlot(r rates, width, height int) plot {
	most, total := 0, 0
	for i := range r.SentByMinute {
		most = max(most, r.SentByMinute[i]+r.FailedByMinute[i])
		total += r.SentByMinute[i]
	}
	p := plot{Width: width, Height: height}
	p.Text = fmt.Sprintf("%s sent and %s failed in the last hour; the most in a minute was %s",
		thousands(total), thousands(r.FailedLastHour), thousands(most))
	if most == 0 {
		return p
	}
	var sent, failed strings.Builder
	step := float64(width) / float64(len(r.SentByMinute))
	for i := range r.SentByMinute {
		x, low := step*float64(i), float64(height)
		for _, part := range []struct {
			b *strings.Builder
			n int
		}{{&sent, r.SentByMinute[i]}, {&failed, r.FailedByMinute[i]}} {
			if part.n == 0 {
				continue
			}
			h := max(float64(part.n)/float64(most)*float64(height), 1)
			top := max(low-h, 0)
			fmt.Fprintf(part.b, "M%.1f %.1fV%.1fh%.1fV%.1fz", x, low, top, step*0.8, low)
			low = top
		}
	}
	p.Sent, p.Failed = sent.String(), failed.String()
	return p
}

package signalmetrics

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// The kinds of metrics.
const (
	counter = "counter"
	gauge   = "gauge"
)

// text is metrics in the text format of Prometheus, version 0.0.4.
type text struct{ bytes.Buffer }

// labels are the labels of a series, in order: names and values.
type labels [][2]string

// family begins a metric. All its samples follow.
func (t *text) family(name, kind, help string) {
	t.WriteString("# HELP " + name + " " + escapedHelp.Replace(help) + "\n# TYPE " + name + " " + kind + "\n")
}

// sample writes a whole number.
func (t *text) sample(name string, l labels, value int64) {
	t.line(name, l, strconv.FormatInt(value, 10))
}

// seconds writes a duration.
func (t *text) seconds(name string, l labels, d time.Duration) {
	t.line(name, l, formatted(d.Seconds()))
}

// histogram writes the cumulative buckets, their sum and their count. What is
// observed meanwhile may already be part of the sum, and not of the count.
func (t *text) histogram(name string, l labels, h *histogram) {
	var n int64
	for i := range h.counts {
		n += h.counts[i].Load()
		bound := math.Inf(1)
		if i < len(h.bounds) {
			bound = h.bounds[i].Seconds()
		}
		t.line(name+"_bucket", append(l[:len(l):len(l)], [2]string{"le", formatted(bound)}), strconv.FormatInt(n, 10))
	}
	t.seconds(name+"_sum", l, time.Duration(h.sum.Load()))
	t.sample(name+"_count", l, n)
}

func (t *text) line(name string, l labels, value string) {
	t.WriteString(name)
	for i, label := range l {
		t.WriteByte("{,"[min(i, 1)])
		t.WriteString(label[0] + `="` + escapedLabel.Replace(label[1]) + `"`)
	}
	t.WriteString("} " + value + "\n")
}

func formatted(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

var (
	escapedHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapedLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

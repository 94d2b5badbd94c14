// Package promtest has what tests of metrics need: their values, Debian's promtool,
// and a Prometheus of the test's own.
package promtest

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Scrape returns the metrics of a handler.
func Scrape(t testing.TB, h http.Handler) Samples {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	return Parse(t, w.Body.String())
}

// Samples are the values of series by their text, such as up{job="x"}.
type Samples map[string]float64

// Parse reads the text format of Prometheus, without timestamps.
func Parse(t testing.TB, text string) Samples {
	t.Helper()
	all := make(Samples)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		require.NoError(t, err, "%s", line)
		require.NotContains(t, all, line[:at])
		all[line[:at]] = value
	}
	return all
}

// Of returns the series of a metric that aren't 0.
func (s Samples) Of(metric string) Samples {
	some := make(Samples)
	for series, value := range s {
		if strings.HasPrefix(series, metric+"{") && value != 0 {
			some[series] = value
		}
	}
	return some
}

var install = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("../services", "install", "prometheus").CombinedOutput()
	return string(out), err
})

// Promtool runs promtool in a directory and returns what it prints. It installs the
// Debian package prometheus if that is missing.
func Promtool(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	out, err := install()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	printed, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool %s: %s", strings.Join(args, " "), printed)
	return string(printed)
}

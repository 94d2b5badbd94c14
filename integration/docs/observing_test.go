package docs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/internal/promtest"
	"github.com/entsignal/signalbus/internal/telemetry"
	"github.com/entsignal/signalbus/internal/testlog"
)

const deploy = repo + "/examples/deploy"

// metrics returns the names of the metrics and their kinds.
func metrics(t *testing.T) map[string]string {
	t.Helper()
	bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders())
	require.NoError(t, err)
	mux := http.NewServeMux()
	serveMetrics(mux, bus)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics/signalbus", nil))
	require.Equal(t, http.StatusOK, w.Code)
	names := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(w.Body.String(), -1) {
		names[m[1]] = m[2]
	}
	return names
}

func TestMetricsHaveTheirNamesAndKinds(t *testing.T) {
	assert.Equal(t, map[string]string{
		"entsignal_recorded_total":         "counter",
		"entsignal_sent_total":             "counter",
		"entsignal_failed_total":           "counter",
		"entsignal_pending":                "gauge",
		"entsignal_dead":                   "gauge",
		"entsignal_pending_age_seconds":    "gauge",
		"entsignal_paused":                 "gauge",
		"entsignal_lag_seconds":            "histogram",
		"entsignal_send_duration_seconds":  "histogram",
		"entsignal_flush_duration_seconds": "histogram",
	}, metrics(t))
}

// dashboard is what is looked at of a dashboard of Grafana.
type dashboard struct {
	Panels []struct {
		ID          int
		Type        string
		Title       string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

var (
	metricName = regexp.MustCompile(`\bentsignal_\w+`)
	labelNames = regexp.MustCompile(`(?:by|on) \(([^)]*)\)|(\w+)(?:=|!=|=~|!~)"`)
)

// checkExpression checks that the metrics and the labels of an expression exist.
func checkExpression(t *testing.T, known map[string]string, used map[string]bool, expr string) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		if base, ok := strings.CutSuffix(name, "_bucket"); ok && known[base] == "histogram" {
			name = base
		}
		assert.Contains(t, known, name, "%s", expr)
		used[name] = true
	}
	for _, m := range labelNames.FindAllStringSubmatch(expr, -1) {
		for label := range strings.FieldsFuncSeq(m[1]+" "+m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
			assert.Contains(t, []string{"job", "instance", "le", "signal", "mode", "error_type", "alertname", "alertstate"}, label, "%s", expr)
		}
	}
}

func TestDashboardShowsEachMetricAndNoOther(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(deploy, "grafana-dashboard.json"))
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(content, &d))
	known, used := metrics(t), make(map[string]bool)
	ids, taken := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		assert.False(t, ids[p.ID], "two panels have the id %d", p.ID)
		ids[p.ID] = true
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s is on top of it", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		assert.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		assert.True(t, p.Type == "row" || p.Description != "", "%s has no description", p.Title)
		for _, target := range p.Targets {
			checkExpression(t, known, used, target.Expr)
		}
	}
	for name := range known {
		assert.True(t, used[name], "no panel shows %s", name)
	}
	for _, v := range d.Templating.List {
		checkExpression(t, known, used, v.Definition)
	}
}

func TestAlertsAreValidTestedAndExplained(t *testing.T) {
	promtest.Promtool(t, deploy, "", "check", "config", "prometheus.yml")
	promtest.Promtool(t, deploy, "", "check", "rules", "prometheus-alerts.yml")
	promtest.Promtool(t, deploy, "", "test", "rules", "prometheus-alerts-test.yml")
	rules, err := os.ReadFile(filepath.Join(deploy, "prometheus-alerts.yml"))
	require.NoError(t, err)
	tests, err := os.ReadFile(filepath.Join(deploy, "prometheus-alerts-test.yml"))
	require.NoError(t, err)
	checkExpression(t, metrics(t), make(map[string]bool), string(rules))
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(rules), -1)
	require.Len(t, alerts, 8)
	page := "docs/observing.md"
	for _, a := range alerts {
		name := a[1]
		assert.Regexp(t, `alertname: `+name+`\n +exp_alerts:`, string(tests), "it fires in a test")
		assert.Regexp(t, `alertname: `+name+`}`, string(tests), "and it doesn't")
		assert.Contains(t, string(rules), page+"#"+strings.ToLower(name)+"\n")
		assert.True(t, hasHeadingOf(filepath.Join(repo, page), strings.ToLower(name)), "%s isn't explained", name)
	}
}

func TestPageOnObservingNamesEachMetricLabelAndLineOfTheLog(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(repo, "docs/observing.md"))
	require.NoError(t, err)
	page := string(content)
	known := metrics(t)
	for _, name := range metricName.FindAllString(page, -1) {
		assert.Contains(t, known, name)
	}
	for name, kind := range known {
		assert.Contains(t, page, "| `"+name+"` | "+kind+" |")
	}
	for _, errorType := range telemetry.ErrorTypes() {
		assert.Contains(t, page, "| `"+string(errorType)+"` |")
	}
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| (?:DEBUG|INFO|WARN|ERROR) \| (.+) \| `).FindAllStringSubmatch(page, -1) {
		for _, line := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, line[1])
		}
	}
	var logged []string
	logs := regexp.MustCompile(`(?:(?:Debug|Info|Warn|Error)Context\(ctx|log\.Log\(ctx, level|logFailure\(ctx), "([^"]+)"`)
	walk(t, filepath.Join(repo, "internal/engine"), ".go", func(_, content string) {
		for _, m := range logs.FindAllStringSubmatch(content, -1) {
			logged = append(logged, m[1])
		}
	})
	for _, line := range documented {
		assert.True(t, slices.ContainsFunc(logged, func(l string) bool { return strings.HasPrefix(l, line) }), "%q is not logged", line)
	}
	for _, line := range logged {
		assert.True(t, slices.ContainsFunc(documented, func(d string) bool { return strings.HasPrefix(line, d) }), "%q is not documented", line)
	}
}

func TestObserverOfThePageOnObserving(t *testing.T) {
	var log testlog.Log
	var observer entsignal.Observer = audit{log.Logger()}
	observer.Observe(context.Background(), entsignal.Recorded{Signal: "OrderPlaced", Count: 1})
	observer.Observe(context.Background(), entsignal.Dead{Signal: "OrderPlaced", IDs: []string{"17"}, Err: errors.New("too large")})
	assert.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.Contains(t, log.String(), "level=ERROR msg=dead signal=OrderPlaced ids=[17]")
}

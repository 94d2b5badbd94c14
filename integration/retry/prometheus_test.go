package retry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/promtest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// badNumber is the number of the jobs that the program can never send.
const badNumber = 13

// watched is a relay under load that a Prometheus watches.
type watched struct {
	*ent.Client
	db      *testdb.DB
	dir     string // the program's
	address string
	log     testlog.Log
	relay   *exec.Cmd
	prom    *promtest.Prometheus

	recorded, bad atomic.Int64 // how many jobs were recorded, and those that can't be sent
	spoilt        atomic.Bool  // some of what is recorded can't be sent
}

// startRelay starts signalbus run, and stops it at the end of the test.
func (w *watched) startRelay(t *testing.T) {
	t.Helper()
	w.relay = &exec.Cmd{Path: os.Args[0], Args: []string{"works", "run", "JobQueued", "--listen", w.address, "--poll", "50ms"}, Dir: w.dir, Stderr: &w.log}
	w.relay.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", envKind+"="+w.db.Name, envDSN+"="+w.db.DSN, envBad+"="+strconv.Itoa(badNumber))
	require.NoError(t, w.relay.Start())
}

func (w *watched) stopRelay() error {
	if err := w.relay.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return w.relay.Wait()
}

// load records jobs until ctx ends.
func (w *watched) load(ctx context.Context) error {
	for ctx.Err() == nil {
		bad := 0
		if w.spoilt.Load() {
			bad = 1
		}
		jobs := w.JobQueued.MapCreateBulk(make([]struct{}, 20), func(c *ent.JobQueuedCreate, i int) {
			if i < bad {
				c.SetNumber(badNumber)
			} else {
				c.SetNumber(100 + i)
			}
		})
		if err := jobs.Exec(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		w.recorded.Add(20)
		w.bad.Add(int64(bad))
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// fires waits until the alerts fire that are wanted, and others don't that aren't.
func (w *watched) fires(t *testing.T, wanted []string, others ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		firing := w.prom.Firing(t)
		for _, name := range wanted {
			assert.Contains(t, firing, name)
		}
		for _, name := range others {
			assert.NotContains(t, firing, name)
		}
	}, time.Minute, 50*time.Millisecond)
}

const (
	minute       = 300 * time.Millisecond // a minute of the rules
	scrapesEvery = 300 * time.Millisecond
)

// hasten shortens the times of rules, and lowers their limits.
func hasten(t *testing.T, rules string) string {
	t.Helper()
	minutes := regexp.MustCompile(`(for: |\[)(\d+)m\b`)
	rules = minutes.ReplaceAllStringFunc(rules, func(s string) string {
		m := minutes.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		return fmt.Sprint(m[1], (time.Duration(n) * minute).Milliseconds(), "ms")
	})
	for limit, lower := range map[string]string{
		"entsignal_pending_age_seconds) > 300": "entsignal_pending_age_seconds) > 3",
		"(entsignal_pending) > 1000)":          "(entsignal_pending) > 100)",
	} {
		require.Contains(t, rules, limit)
		rules = strings.ReplaceAll(rules, limit, lower)
	}
	return rules
}

// A relay under load loses its broker, gets it back, meets signals that can't be sent,
// and is gone for a while. The alerts and the dashboard tell so.
func TestAlertsFireAndClearAndTheDashboardTellsWhatHappened(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.PostgreSQL)
	w := &watched{Client: ent.NewClient(ent.Driver(db.Driver(t))), db: db, dir: t.TempDir(), address: promtest.FreeAddress(t)}
	db.CreateTables(t, func(out io.Writer) error { return w.Schema.WriteTo(ctx(t), out) })
	w.startRelay(t)
	t.Cleanup(func() {
		if w.relay.ProcessState == nil {
			_ = w.relay.Process.Kill()
			_ = w.relay.Wait()
		}
		if t.Failed() {
			t.Logf("the log of the relay:\n%s", &w.log)
		}
	})
	w.prom = promtest.Start(t, w.configure(t))
	c, endLoad := context.WithCancel(ctx(t))
	loaded := make(chan error, 1)
	go func() { loaded <- w.load(c) }()
	defer endLoad()

	const old, grows, paused = "EntsignalPendingOld JobQueued", "EntsignalPendingGrows JobQueued", "EntsignalPaused JobQueued"
	const failing, dead, gone, down = "EntsignalFailing JobQueued", "EntsignalDead JobQueued", "EntsignalRelayGone ", "EntsignalRelayDown "
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		assert.Greater(t, w.prom.Query(t, `sum by (signal) (rate(entsignal_sent_total[5s]))`, "signal")["JobQueued"], 0.0)
	}, time.Minute, 50*time.Millisecond)
	w.fires(t, nil, old, grows, paused, failing, dead, gone, down)

	require.NoError(t, os.WriteFile(filepath.Join(w.dir, fileDown), nil, 0o600))
	w.fires(t, []string{old, grows, paused}, failing, dead, gone, down)
	require.NoError(t, os.Remove(filepath.Join(w.dir, fileDown)))
	w.fires(t, nil, old, grows, paused, failing, dead, gone, down)

	w.spoilt.Store(true)
	w.fires(t, []string{failing, dead}, paused, gone, down)
	w.spoilt.Store(false)
	w.fires(t, []string{dead}, old, grows, paused, failing, gone, down)

	// All that was recorded is sent or dead, and the queries say so.
	endLoad()
	require.NoError(t, <-loaded)
	recorded, bad := float64(w.recorded.Load()), float64(w.bad.Load())
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		one := func(expr string, labels ...string) map[string]float64 { return w.prom.Query(t, expr, labels...) }
		assert.Equal(t, map[string]float64{"flushmany": recorded - bad}, one(`sum by (mode) (entsignal_sent_total) > 0`, "mode"))
		assert.Equal(t, map[string]float64{"JobQueued": bad}, one(`entsignal_dead > 0`, "signal"))
		assert.Equal(t, map[string]float64{"JobQueued": bad}, one(`entsignal_pending > 0`, "signal"))
		assert.Empty(t, one(`entsignal_pending_age_seconds > 0`), "the dead ones don't count")
		assert.Equal(t, bad, one(`entsignal_failed_total{error_type="permanent"} > 0`, "signal")["JobQueued"])
		assert.NotZero(t, one(`entsignal_failed_total{error_type="unavailable"}`, "signal")["JobQueued"])
		assert.Empty(t, one(`entsignal_failed_total{error_type!~"permanent|unavailable"} > 0`))
		assert.Greater(t, one(`max_over_time(entsignal_pending{signal="JobQueued"}[1m])`, "signal")["JobQueued"], 100.0)
	}, time.Minute, 50*time.Millisecond)
	w.checkDashboard(t)

	require.NoError(t, w.stopRelay())
	w.fires(t, []string{gone, down}, dead)
	w.startRelay(t)
	w.fires(t, []string{dead}, gone, down)
	w.JobQueued.Delete().ExecX(ctx(t))
	w.fires(t, nil, old, grows, paused, failing, dead, gone, down)
	require.NoError(t, w.stopRelay())
}

// configure writes the configuration of the examples, for this relay and with short
// times.
func (w *watched) configure(t *testing.T) (file string) {
	t.Helper()
	const deploy = "../../examples/deploy/"
	rules, err := os.ReadFile(deploy + "prometheus-alerts.yml")
	require.NoError(t, err)
	config, err := os.ReadFile(deploy + "prometheus.yml")
	require.NoError(t, err)
	text := string(config)
	for old, changed := range map[string]string{
		"scrape_interval: 15s":     fmt.Sprint("scrape_interval: ", scrapesEvery),
		"evaluation_interval: 15s": "evaluation_interval: 100ms",
		`"127.0.0.1:8080"`:         strconv.Quote(w.address),
	} {
		require.Contains(t, text, old)
		text = strings.ReplaceAll(text, old, changed)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus-alerts.yml"), []byte(hasten(t, string(rules))), 0o600))
	file = filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// checkDashboard asks all that the dashboard asks. What nobody does here has no value:
// no process with ent and a bus records anything, and there is no mixin.Trace.
func (w *watched) checkDashboard(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile("../../examples/deploy/grafana-dashboard.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(content, &d))
	variables := strings.NewReplacer("$job", ".*", "$signal", ".*", "$__rate_interval", "1m")
	for _, p := range d.Panels {
		most := math.Inf(-1)
		for _, target := range p.Targets {
			values := w.prom.Query(t, variables.Replace(target.Expr), "signal", "mode", "error_type", "instance")
			assert.NotEmpty(t, values, "%s: %s", p.Title, target.Expr)
			for _, v := range values {
				if !math.IsNaN(v) {
					most = max(most, v)
				}
			}
		}
		switch p.Title {
		case "Oldest", "Age of the oldest", "Paused", "Recorded":
			assert.Zero(t, most, p.Title)
		case "Relays":
			assert.Equal(t, 1.0, most, p.Title)
		case "Lag":
			assert.True(t, math.IsInf(most, -1), "it is unknown without mixin.Trace")
		default:
			assert.True(t, len(p.Targets) == 0 || most > 0, "%s: %v", p.Title, most)
		}
	}
}

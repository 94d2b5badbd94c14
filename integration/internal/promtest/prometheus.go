package promtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Prometheus is one of the test's own.
type Prometheus struct{ url string }

// Start starts a Prometheus with the configuration in a file, which ends with the
// test.
func Start(t testing.TB, config string) *Prometheus {
	t.Helper()
	out, err := install()
	require.NoError(t, err, "%s", out)
	p := &Prometheus{url: "http://" + FreeAddress(t)}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.url[len("http://"):], "--log.level=warn")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the log of Prometheus:\n%s", text)
		}
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "Prometheus doesn't start")
	return p
}

// FreeAddress returns an address of this machine that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// Query returns the value of each series of an expression now, by the values of these
// labels, with a space between them.
func (p *Prometheus) Query(t require.TestingT, expr string, labels ...string) map[string]float64 {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &data)
	all := make(map[string]float64)
	for _, r := range data.Result {
		key := ""
		for i, label := range labels {
			if i > 0 {
				key += " "
			}
			key += r.Metric[label]
		}
		value, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		require.NoError(t, err)
		all[key] = value
	}
	return all
}

// Firing returns which alerts fire, as their name and signal.
func (p *Prometheus) Firing(t require.TestingT) map[string]bool {
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	p.get(t, "/api/v1/alerts", &data)
	firing := make(map[string]bool)
	for _, a := range data.Alerts {
		if a.State == "firing" {
			firing[a.Labels["alertname"]+" "+a.Labels["signal"]] = true
		}
	}
	return firing
}

// get reads the data of an answer.
func (p *Prometheus) get(t require.TestingT, path string, data any) {
	resp, err := http.Get(p.url + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	answer := struct {
		Status string
		Data   any
	}{Data: data}
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
	require.Equal(t, "success", answer.Status, "%s: %s", path, body)
}

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// service is a signalbus run under a supervisor, which is the test.
type service struct {
	cmd    *exec.Cmd
	log    testlog.Log
	out    bytes.Buffer
	states chan string // what it tells its supervisor
	url    string      // of what it listens to
}

// serve starts the service on a database, with more environment.
func serve(t *testing.T, db *testdb.DB, env ...string) *service {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	supervisor, err := net.ListenPacket("unixgram", socket)
	require.NoError(t, err)
	s := &service{states: make(chan string, 10000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1000)
		for {
			n, _, err := supervisor.ReadFrom(buf)
			if err != nil {
				return
			}
			s.states <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		_ = supervisor.Close()
		<-done
	})
	s.cmd = &exec.Cmd{Path: os.Args[0], Args: []string{"signalbus", "run", "--listen", "127.0.0.1:0"}, Dir: dir, Stdout: &s.out, Stderr: &s.log}
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "GORACE=atexit_sleep_ms=0", envKind+"="+db.Name, envDSN+"="+db.DSN)
	s.cmd.Env = append(s.cmd.Env, env...)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the log:\n%s", &s.log)
		}
	})
	listening := regexp.MustCompile(`relay started.* listen=(\S+)`)
	require.Eventually(t, func() bool {
		found := listening.FindStringSubmatch(s.log.String())
		if found != nil {
			s.url = "http://" + found[1]
		}
		return found != nil
	}, 30*time.Second, time.Millisecond)
	return s
}

// tells waits until it tells its supervisor that.
func (s *service) tells(t *testing.T, state string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case told := <-s.states:
			if told == state {
				return
			}
		case <-timeout:
			t.Fatalf("it doesn't tell %s", state)
		}
	}
}

// get returns the answer to a request.
func (s *service) get(t require.TestingT, path string) (int, string) {
	resp, err := http.Get(s.url + path)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(body))
}

// stop ends it by SIGTERM and returns how long that took.
func (s *service) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.tells(t, "STOPPING=1")
	require.NoError(t, s.cmd.Wait(), "it exits with 0")
	return time.Since(began)
}

func shopOn(t *testing.T, kind testdb.Kind) (*testdb.DB, *ent.Client) {
	t.Helper()
	db := testdb.New(t, kind)
	client := ent.NewClient(ent.Driver(db.Driver(t)))
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(context.Background(), w) })
	return db, client
}

const watchdog = "WATCHDOG_USEC=200000"

func TestRelayTellsItsSupervisorAndAnswersProbes(t *testing.T) {
	t.Parallel()
	db, client := shopOn(t, testdb.PostgreSQL)
	client.AuditLogged.Create().SetNumber(1).ExecX(t.Context())
	s := serve(t, db, watchdog)
	s.tells(t, "READY=1")
	for range 3 {
		s.tells(t, "WATCHDOG=1")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		status, body := s.get(t, path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.Equal(t, "ok", body, path)
	}
	status, _ := s.get(t, "/nothing")
	assert.Equal(t, http.StatusNotFound, status)
	took := s.stop(t)
	assert.Less(t, took, 20*time.Second)
	assert.Equal(t, "1 signal sent, interrupted\n", s.out.String())
}

// A supervisor restarts a relay whose loop is stuck, and no other.
func TestRelayWhoseLoopIsStuckTellsNothing(t *testing.T) {
	t.Parallel()
	db, client := shopOn(t, testdb.PostgreSQL)
	s := serve(t, db, watchdog, envHang+"=AuditLogged", envTimeout+"=100ms")
	s.tells(t, "WATCHDOG=1")
	client.AuditLogged.MapCreateBulk(make([]struct{}, 20), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i) }).ExecX(t.Context())
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		status, body := s.get(t, "/healthz")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, "stuck: AuditLogged", body)
	}, 50*time.Second, 10*time.Millisecond)
	for drained := false; !drained; { // what was told before
		select {
		case <-s.states:
		default:
			drained = true
		}
	}
	select {
	case state := <-s.states:
		t.Errorf("it tells %s", state)
	case <-time.After(time.Second):
	}
	require.Eventually(t, func() bool { return s.log.Count("stuck: it hasn't moved") == 1 }, 20*time.Second, time.Millisecond)
	// The queries that are left behind aren't waited for without end.
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.tells(t, "STOPPING=1")
	require.NoError(t, s.cmd.Wait())
}

// Neither the broker nor the database is a reason to restart.
func TestRelayIsHealthyAndNotReadyWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db, client := shopOn(t, testdb.PostgreSQL)
	behind, proxy := db.Through(t)
	s := serve(t, behind, watchdog, envTimeout+"=500ms")
	s.tells(t, "READY=1")
	proxy.BlackHole(true)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		status, body := s.get(t, "/readyz")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, "the database doesn't answer", body)
	}, 30*time.Second, 10*time.Millisecond)
	for range 5 {
		status, body := s.get(t, "/healthz")
		assert.Equal(t, http.StatusOK, status, body)
		s.tells(t, "WATCHDOG=1")
	}
	proxy.BlackHole(false)
	proxy.Cut()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		status, _ := s.get(t, "/readyz")
		assert.Equal(t, http.StatusOK, status)
	}, 30*time.Second, 10*time.Millisecond)
	client.AuditLogged.Create().SetNumber(1).ExecX(t.Context())
	require.Eventually(t, func() bool { return client.AuditLogged.Query().CountX(t.Context()) == 0 }, 50*time.Second, 10*time.Millisecond)
	proxy.BlackHole(true)
	assert.Less(t, s.stop(t), 25*time.Second, "in the black hole too")
}

func TestRelayThatCannotListenSaysSo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	var log testlog.Log
	cmd := &exec.Cmd{Path: os.Args[0], Args: []string{"signalbus", "run", "--listen", taken.Addr().String()}, Dir: t.TempDir(), Stderr: &log}
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, log.String(), fmt.Sprintf("listen tcp %s: bind", taken.Addr()))
}

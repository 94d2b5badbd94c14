package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// broker is a RabbitMQ node of the test's own, so that it may be stopped.
type broker struct {
	url  string
	dir  string
	port int
	env  []string
	node *process
}

// Not the wrapper in /usr/sbin: it insists on the user rabbitmq and on the
// directories of the system's own server.
const rabbitmqServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// startBroker starts a node, which ends with the test.
func startBroker(t *testing.T) *broker {
	t.Helper()
	require.FileExists(t, rabbitmqServer, "install the Debian package rabbitmq-server")
	epmd, err := exec.LookPath("epmd")
	require.NoError(t, err, "install the Debian package rabbitmq-server, which brings Erlang")

	dir := t.TempDir()
	write(t, filepath.Join(dir, "enabled_plugins"), "[].\n")
	// The default watermark is a share of the machine's memory, which a
	// container mistakes for its host's.
	write(t, filepath.Join(dir, "rabbitmq.conf"), "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n")
	port := freePorts(t, 3)
	b := &broker{
		url:  fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", port),
		dir:  dir,
		port: port,
		env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"LANG=C.UTF-8",
			"HOME=" + dir, // where Erlang keeps its cookie
			fmt.Sprintf("RABBITMQ_NODENAME=orders-%d@localhost", port),
			"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
			"RABBITMQ_NODE_PORT=" + strconv.Itoa(port),
			"RABBITMQ_DIST_PORT=" + strconv.Itoa(port+1),
			"ERL_EPMD_PORT=" + strconv.Itoa(port+2),
			"ERL_EPMD_ADDRESS=127.0.0.1",
			"ERL_CRASH_DUMP_SECONDS=0",
			"RABBITMQ_CONF_ENV_FILE=/dev/null",
			"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "rabbitmq.conf"),
			"RABBITMQ_ADVANCED_CONFIG_FILE=" + filepath.Join(dir, "advanced.config"),
			"RABBITMQ_GENERATED_CONFIG_DIR=" + filepath.Join(dir, "config"),
			"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "enabled_plugins"),
			"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"),
			"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
			"RABBITMQ_LOGS=-",
			// Has the script exec the server, so that the pid is the server's.
			"RUNNING_UNDER_SYSTEMD=true",
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
		},
	}
	// Left to itself the node would start an epmd that outlives it.
	startProcess(t, b.dir, b.env, epmd, "-port", strconv.Itoa(port+2), "-address", "127.0.0.1")
	require.Eventually(t, func() bool { return accepts(port + 2) }, 2*time.Minute, 20*time.Millisecond, "epmd doesn't start")
	b.start(t)
	return b
}

// start starts the node with the data that it has, and waits until it serves.
func (b *broker) start(t *testing.T) {
	t.Helper()
	b.node = startProcess(t, b.dir, b.env, rabbitmqServer)
	require.Eventually(t, func() bool {
		conn, err := amqp.Dial(b.url)
		if err != nil {
			return b.node.ended()
		}
		_ = conn.Close()
		return true
	}, 2*time.Minute, 100*time.Millisecond, "RabbitMQ doesn't start")
	require.False(t, b.node.ended(), "RabbitMQ ended while it started")
}

// stop ends the node and waits for its end.
func (b *broker) stop(t *testing.T) {
	t.Helper()
	b.node.stop(t)
	require.False(t, accepts(b.port), "RabbitMQ still listens")
}

// consumers returns how many consumers the queue has, or -1.
func (b *broker) consumers(queue string) int {
	conn, err := amqp.Dial(b.url)
	if err != nil {
		return -1
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return -1
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		return -1
	}
	return q.Consumers
}

// process is a server that the test has started.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// startProcess starts a server, which ends with the test.
func startProcess(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	log, err := os.CreateTemp(dir, filepath.Base(name)+"-*.log")
	require.NoError(t, err)
	defer log.Close()
	p := &process{cmd: exec.Command(name, args...), log: log.Name(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, log, log
	// A group of its own keeps the terminal's Ctrl-C away. Pdeathsig ends it
	// when the test is killed and can't clean up.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("%s: the end of its log:\n%s", name, text[max(0, len(text)-2000):])
		}
		p.stop(t)
	})
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process and waits for it; one that doesn't listen is killed,
// with its children.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.ended() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		t.Errorf("%s did not stop in time and was killed", p.cmd.Path)
	}
}

// freePorts returns the first of n ports in a row that nobody listens on. They
// are below those that Linux hands out to outgoing connections, which could
// take one while the broker is stopped.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first := 20000 + rand.IntN(12000)
		if areFree(first, n) {
			return first
		}
	}
	require.Fail(t, "no free ports")
	return 0
}

func areFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// accepts reports whether somebody listens on the port.
func accepts(port int) bool {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

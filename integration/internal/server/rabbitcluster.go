package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go" // by which they are asked whether they are ready
)

// RabbitNode is a node of a cluster of RabbitMQ that no other test knows of.
type RabbitNode struct {
	Addr string // host:port
	URL  string // of the user guest

	process *exec.Cmd
	alive   io.Closer
	log     string
	over    chan struct{} // closed when it has ended
}

// rabbitmqServer is not the wrapper in /usr/sbin: that insists on the user rabbitmq
// and on the directories of the system's own server.
const rabbitmqServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// RabbitCluster is several nodes that share their queues.
type RabbitCluster struct {
	Nodes []*RabbitNode

	dir  string
	epmd *RabbitNode
}

// StartRabbitCluster starts the nodes of a cluster. Stop must be called at the end,
// also after an error.
func StartRabbitCluster(ctx context.Context, nodes int) (*RabbitCluster, error) {
	c := &RabbitCluster{}
	const ports = 2 // of a node: AMQP, and the other nodes'
	first, err := freePorts(nodes*ports + 1)
	if err != nil {
		return c, err
	}
	epmdPort := first + nodes*ports
	if c.dir, err = os.MkdirTemp("", "entsignal-rabbitmq-"); err != nil {
		return c, err
	}
	if err := os.WriteFile(filepath.Join(c.dir, ".erlang.cookie"), []byte("ENTSIGNALTESTS"), 0o400); err != nil {
		return c, err
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return c, fmt.Errorf("install the Debian package rabbitmq-server, which brings Erlang: %w", err)
	}
	if c.epmd, err = c.launch("epmd", nil, epmd, "-port", strconv.Itoa(epmdPort), "-address", "127.0.0.1"); err != nil {
		return c, err
	}
	name := func(i int) string { return fmt.Sprintf("node%d-%d@localhost", i, first) }
	for i := range nodes {
		dir := filepath.Join(c.dir, fmt.Sprintf("node%d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return c, err
		}
		// The default watermark is a share of the machine's memory, which a container
		// mistakes for its host's.
		conf := "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
		if i > 0 { // it joins the first when it starts
			conf += "cluster_formation.peer_discovery_backend = classic_config\ncluster_formation.classic_config.nodes.1 = " + name(0) + "\n"
		}
		for file, text := range map[string]string{"enabled_plugins": "[].\n", "rabbitmq.conf": conf} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				return c, err
			}
		}
		port := first + i*ports
		node, err := c.launch(fmt.Sprintf("node%d", i), []string{
			"RABBITMQ_NODENAME=" + name(i),
			"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
			"RABBITMQ_NODE_PORT=" + strconv.Itoa(port),
			"RABBITMQ_DIST_PORT=" + strconv.Itoa(port+1),
			"ERL_EPMD_PORT=" + strconv.Itoa(epmdPort),
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
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
		}, rabbitmqServer)
		if err != nil {
			return c, err
		}
		node.Addr = fmt.Sprintf("127.0.0.1:%d", port)
		node.URL = "amqp://guest:guest@" + node.Addr + "/"
		c.Nodes = append(c.Nodes, node)
		if i == 0 {
			if err := node.await(ctx); err != nil {
				return c, err
			}
		}
	}
	for _, node := range c.Nodes {
		if err := node.await(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

// launch starts a program that ends with the test, however that ends: the shell
// around it waits for the end of its input.
func (c *RabbitCluster) launch(name string, env []string, command ...string) (*RabbitNode, error) {
	n := &RabbitNode{log: filepath.Join(c.dir, name+".log"), over: make(chan struct{})}
	log, err := os.Create(n.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	n.process = exec.Command("bash", append([]string{"-c", `"$@" </dev/null & pid=$!; cat; kill -KILL $pid; wait`, "bash"}, command...)...)
	n.process.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + c.dir}, env...)
	n.process.Dir, n.process.Stdout, n.process.Stderr = c.dir, log, log
	n.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if n.alive, err = n.process.StdinPipe(); err != nil {
		return nil, err
	}
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(n.over)
		_ = n.process.Wait() // the shell's status tells nothing
	}()
	return n, nil
}

// await waits until the node serves.
func (n *RabbitNode) await(ctx context.Context) error {
	for {
		conn, err := amqp.DialConfig(n.URL, amqp.Config{Dial: func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				err = c.SetDeadline(time.Now().Add(10 * time.Second))
			}
			return c, err
		}})
		if err == nil {
			return conn.Close()
		}
		select {
		case <-n.over:
			return fmt.Errorf("start RabbitMQ: it has ended\n%s", n.tail())
		case <-ctx.Done():
			return fmt.Errorf("start RabbitMQ: %w: %w\n%s", ctx.Err(), err, n.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (n *RabbitNode) tail() string {
	text, _ := os.ReadFile(n.log)
	return string(text[max(0, len(text)-2000):])
}

// Kill ends the node as a crash does, for good.
func (n *RabbitNode) Kill() {
	_ = n.alive.Close()
	<-n.over
}

// Addrs returns the addresses of all nodes but the first.
func (c *RabbitCluster) Addrs() (all []string) {
	for _, n := range c.Nodes[1:] {
		all = append(all, n.Addr)
	}
	return all
}

// At returns the node with the address that a text names last, or nil.
func (c *RabbitCluster) At(text string) (at *RabbitNode) {
	last := -1
	for _, n := range c.Nodes {
		if i := strings.LastIndex(text, n.Addr); i > last {
			last, at = i, n
		}
	}
	return at
}

// Stop kills the nodes and removes what they wrote.
func (c *RabbitCluster) Stop() error {
	for _, n := range append(c.Nodes, c.epmd) {
		if n != nil {
			n.Kill()
		}
	}
	return os.RemoveAll(c.dir)
}

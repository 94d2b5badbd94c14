// Package server starts servers of a test's own, which it may break.
package server

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// script starts and stops them.
const script = "../services"

// amqpPorts is how many ports in a row a RabbitMQ has; see integration/services.
const amqpPorts = 14

// Servers are a PostgreSQL and a RabbitMQ that no other test knows of. They
// take TLS too, with the certificate in Certificates.
type Servers struct {
	Postgres     string // a URL without TLS, of a superuser
	AMQP         string // a URL without TLS
	AMQPS        string // the same with TLS, and the host localhost
	Certificates string // a directory for [Authority.Issue]; then call Certify

	dir     string
	names   []string
	env     []string
	cleaner *exec.Cmd
	alive   io.Closer
}

// Start starts servers with the certificate that certify writes to a
// directory. It belongs into a TestMain, because RabbitMQ takes seconds; Stop
// must be called at the end, also after an error.
func Start(certify func(dir string) error) (s *Servers, err error) {
	s = &Servers{names: []string{"postgres", "rabbitmq"}}
	if err := s.makeDir(); err != nil {
		return s, err
	}
	s.Certificates = filepath.Join(s.dir, "certificates")
	if err := os.Mkdir(s.Certificates, 0o755); err != nil {
		return s, err
	}
	if err := certify(s.Certificates); err != nil {
		return s, err
	}
	port, err := freePorts(amqpPorts + 1)
	if err != nil {
		return s, err
	}
	s.Postgres = fmt.Sprintf("postgres://entsignal:entsignal@localhost:%d/entsignal?sslmode=disable", port+amqpPorts)
	s.AMQP = fmt.Sprintf("amqp://guest:guest@127.0.0.1:%d/", port)
	s.AMQPS = fmt.Sprintf("amqps://guest:guest@localhost:%d/", port+amqpPorts-1)
	s.setEnv(
		"ENTSIGNAL_SERVICES_TLS="+s.Certificates,
		"ENTSIGNAL_SERVICES_AMQP_PORT="+strconv.Itoa(port),
		"ENTSIGNAL_SERVICES_POSTGRES_PORT="+strconv.Itoa(port+amqpPorts),
	)
	return s, s.start()
}

// makeDir makes the directory of all that the servers write.
func (s *Servers) makeDir() (err error) {
	if s.dir, err = os.MkdirTemp("", "entsignal-servers-"); err != nil {
		return err
	}
	// The servers run as users of their own, who have to get in.
	return os.Chmod(s.dir, 0o755)
}

// setEnv sets what integration/services sees.
func (s *Servers) setEnv(settings ...string) {
	for _, v := range os.Environ() {
		// These name the servers that all tests share.
		if !strings.HasPrefix(v, "ENTSIGNAL_") {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, "ENTSIGNAL_SERVICES_DIR="+filepath.Join(s.dir, "data"))
	s.env = append(s.env, settings...)
}

// start starts the servers.
func (s *Servers) start() error {
	if err := s.watch(); err != nil {
		return err
	}
	_, err := s.run(append([]string{"up"}, s.names...)...)
	return err
}

// watch starts a process that stops the servers when the test has ended,
// however it ended: it waits for the end of its input.
func (s *Servers) watch() error {
	s.cleaner = exec.Command("bash", append([]string{"-c", `cat; kill -CONT "$(cut -d ' ' -f 1 "$2/data/rabbitmq/pid" 2>/dev/null)" 2>/dev/null; "$1" down "${@:3}"; rm -rf "$2"`,
		"bash", script, s.dir}, s.names...)...)
	s.cleaner.Env = s.env
	s.cleaner.Stderr = os.Stderr
	// Neither a Ctrl-C nor the end of the test's process group reaches it.
	s.cleaner.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := s.cleaner.StdinPipe()
	if err != nil {
		return err
	}
	s.alive = in
	return s.cleaner.Start()
}

// Stop stops the servers and removes what they wrote.
func (s *Servers) Stop() error {
	if s.cleaner == nil {
		return os.RemoveAll(s.dir)
	}
	return errors.Join(s.alive.Close(), s.cleaner.Wait())
}

// Certify gives the servers the certificate that is in Certificates now.
func (s *Servers) Certify() error {
	_, err := s.run("certify")
	return err
}

// RabbitMQCtl runs rabbitmqctl and returns what it printed.
func (s *Servers) RabbitMQCtl(args ...string) (string, error) {
	return s.run(append([]string{"rabbitmqctl"}, args...)...)
}

// WriteRabbitMQCtl writes a program that is rabbitmqctl for this broker.
func (s *Servers) WriteRabbitMQCtl(file string) error {
	path, err := filepath.Abs(script)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	for _, v := range s.env {
		if strings.HasPrefix(v, "ENTSIGNAL_") {
			fmt.Fprintf(&b, "export '%s'\n", v)
		}
	}
	fmt.Fprintf(&b, "unset ENTSIGNAL_TEST_AMQP\nexec '%s' rabbitmqctl \"$@\"\n", path)
	return os.WriteFile(file, []byte(b.String()), 0o700)
}

// SignalRabbitMQ sends a signal to the broker's process, such as SIGSTOP.
func (s *Servers) SignalRabbitMQ(sig syscall.Signal) error {
	out, err := s.run("status", "rabbitmq")
	if err != nil {
		return err
	}
	pid := regexp.MustCompile(`pid (\d+)`).FindStringSubmatch(out)
	if pid == nil {
		return fmt.Errorf("no pid in %q", out)
	}
	n, err := strconv.Atoi(pid[1])
	if err != nil {
		return err
	}
	return syscall.Kill(n, sig)
}

// Up starts the named server again, whose data is as it was.
func (s *Servers) Up(name string) error {
	_, err := s.run("up", name)
	return err
}

// Down stops the named server.
func (s *Servers) Down(name string) error {
	_, err := s.run("down", name)
	return err
}

// Kill ends the named server as a crash does.
func (s *Servers) Kill(name string) error {
	_, err := s.run("kill", name)
	return err
}

// run runs integration/services and returns what it printed.
func (s *Servers) run(args ...string) (string, error) {
	cmd := exec.Command(script, args...)
	cmd.Env = s.env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("integration/services %s: %w\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), nil
}

// freePorts returns the first of n ports in a row that nobody listens on,
// below those that Linux hands out to outgoing connections.
func freePorts(n int) (int, error) {
	for range 100 {
		first := 20000 + rand.IntN(12000)
		if areFree(first, n) {
			return first, nil
		}
	}
	return 0, errors.New("no free ports")
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

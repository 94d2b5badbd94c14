package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // by which they are asked whether they are ready
)

// MariaDB is a server that no other test knows of, or a node of a cluster.
type MariaDB struct {
	DSN string // of go-sql-driver, without a database, of a user who may do all

	dir     string
	process *exec.Cmd
	alive   io.Closer
}

// galera is the library of Debian's package galera-4, which comes with
// mariadb-server.
const galera = "/usr/lib/galera/libgalera_smm.so"

// StartMariaDB starts a server with these arguments. Stop must be called at the
// end, if there is no error.
func StartMariaDB(ctx context.Context, args ...string) (*MariaDB, error) {
	dir, port, err := prepareMariaDB(1)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return startMariaDB(ctx, dir, port, "", args)
}

// StartGalera starts the nodes of a cluster. Stop must be called for each of
// them, if there is no error.
func StartGalera(ctx context.Context, nodes int) (all []*MariaDB, err error) {
	const ports = 4 // of a node: its clients', and three of the cluster
	dir, port, err := prepareMariaDB(nodes * ports)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	addresses := make([]string, nodes)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("127.0.0.1:%d", port+i*ports+1)
	}
	for i := range nodes {
		first := port + i*ports
		args := []string{
			"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
			"--wsrep-on=ON", "--wsrep-provider=" + galera,
			"--wsrep-cluster-name=entsignal", "--wsrep-cluster-address=gcomm://" + strings.Join(addresses, ","),
			"--wsrep-node-address=127.0.0.1", fmt.Sprintf("--wsrep-node-name=node%d", i+1),
			"--wsrep-sst-method=rsync", fmt.Sprintf("--wsrep-sst-receive-address=127.0.0.1:%d", first+3),
			fmt.Sprintf("--wsrep-provider-options=base_port=%d;gmcast.listen_addr=tcp://127.0.0.1:%[1]d;ist.recv_addr=127.0.0.1:%d;gcache.size=8M;pc.recovery=no", first+1, first+2),
		}
		if i == 0 {
			args = append(args, "--wsrep-new-cluster")
		} else { // it gets the data of the first
			dir = ""
			if dir, err = mariadbDir(); err != nil {
				break
			}
		}
		var node *MariaDB
		if node, err = startMariaDB(ctx, dir, first, "wsrep_ready", args); err != nil {
			break
		}
		all = append(all, node)
	}
	if err != nil {
		for _, node := range all {
			err = errors.Join(err, node.Stop())
		}
		return nil, err
	}
	return all, nil
}

// Stop kills the server and removes what it wrote.
func (m *MariaDB) Stop() error { return errors.Join(m.alive.Close(), m.process.Wait()) }

// mariadbDir makes a directory for the data of a server, which runs as a user of
// its own if root starts it.
func mariadbDir() (string, error) {
	dir, err := os.MkdirTemp("", "entsignal-mariadb-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil || os.Geteuid() != 0 {
		return dir, err
	}
	out, err := exec.Command("chown", "mysql:mysql", data).CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("chown: %w: %s", err, out)
	}
	return dir, nil
}

// prepareMariaDB makes the data of a server, and finds ports in a row.
func prepareMariaDB(ports int) (dir string, port int, err error) {
	if dir, err = mariadbDir(); err != nil {
		return dir, 0, err
	}
	install := asMySQL("mariadb-install-db", "--no-defaults", "--datadir="+filepath.Join(dir, "data"),
		"--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve")
	if out, err := exec.Command(install[0], install[1:]...).CombinedOutput(); err != nil {
		return dir, 0, fmt.Errorf("mariadb-install-db (of the Debian package mariadb-server): %w: %s", err, out)
	}
	port, err = freePorts(ports)
	return dir, port, err
}

// asMySQL returns a command that the server's user runs.
func asMySQL(command ...string) []string {
	clean := append([]string{"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}, command...)
	if os.Geteuid() != 0 {
		return clean
	}
	return append([]string{"setpriv", "--reuid=mysql", "--regid=mysql", "--init-groups"}, clean...)
}

// startMariaDB starts a server on its directory and waits until it serves; a
// node of a cluster does when the status ready is ON.
func startMariaDB(ctx context.Context, dir string, port int, ready string, args []string) (*MariaDB, error) {
	m := &MariaDB{DSN: fmt.Sprintf("entsignal:entsignal@tcp(127.0.0.1:%d)/?parseTime=true", port), dir: dir}
	const users = "CREATE USER IF NOT EXISTS entsignal@127.0.0.1 IDENTIFIED BY 'entsignal';\nGRANT ALL ON *.* TO entsignal@127.0.0.1 WITH GRANT OPTION;\n"
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte(users), 0o644); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer log.Close()
	server := asMySQL(append([]string{
		"mariadbd", "--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--tmpdir=" + filepath.Join(dir, "data"),
		"--socket=mariadb.sock", "--pid-file=" + filepath.Join(dir, "data", "mariadb.pid"), "--init-file=" + filepath.Join(dir, "init.sql"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--skip-name-resolve", "--character-set-server=utf8mb4",
		"--performance-schema=OFF", "--default-time-zone=+00:00",
	}, args...)...)
	// The shell stops the server when the test has ended, however it ended: it
	// waits for the end of its input.
	m.process = exec.Command("bash", append([]string{"-c", `dir=$1; shift; "$@" </dev/null & pid=$!; cat; kill -KILL $pid; wait; rm -rf "$dir"`, "bash", dir}, server...)...)
	m.process.Stdout, m.process.Stderr = log, log
	m.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if m.alive, err = m.process.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := m.process.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := m.await(ctx, ready); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("start mariadbd: %w\n%s", err, text), m.Stop())
	}
	return m, nil
}

// await waits until the server serves.
func (m *MariaDB) await(ctx context.Context, ready string) error {
	pool, err := sql.Open("mysql", m.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	for {
		name, value := "", "ON"
		err := pool.PingContext(ctx)
		if err == nil && ready != "" {
			err = pool.QueryRowContext(ctx, "SHOW STATUS LIKE '"+ready+"'").Scan(&name, &value)
		}
		if err == nil && value == "ON" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

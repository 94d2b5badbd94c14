package server

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
)

// PgBouncer pools the connections to the PostgreSQL that all tests share, for
// one transaction at a time.
type PgBouncer struct {
	servers *Servers
	addr    string
}

// StartPgBouncer starts a PgBouncer of the test's own. Stop must be called at
// the end, also after an error.
func StartPgBouncer() (*PgBouncer, error) {
	p := &PgBouncer{servers: &Servers{names: []string{"pgbouncer"}}}
	postgres := os.Getenv("ENTSIGNAL_TEST_POSTGRES")
	if postgres == "" {
		return p, fmt.Errorf("ENTSIGNAL_TEST_POSTGRES is not set; eval \"$(integration/services env)\"")
	}
	port, err := freePorts(1)
	if err != nil {
		return p, err
	}
	p.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := p.servers.makeDir(); err != nil {
		return p, err
	}
	p.servers.setEnv("ENTSIGNAL_TEST_POSTGRES="+postgres, "ENTSIGNAL_SERVICES_PGBOUNCER_PORT="+strconv.Itoa(port))
	return p, p.servers.start()
}

// Stop stops it.
func (p *PgBouncer) Stop() error { return p.servers.Stop() }

// Through returns the URL that leads to a database of the PostgreSQL through
// the pooler.
func (p *PgBouncer) Through(database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	u.Host = p.addr
	return u.String(), nil
}

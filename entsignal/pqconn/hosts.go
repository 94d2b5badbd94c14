package pqconn

import (
	"net"
	"net/url"
	"strings"
)

// withHosts returns a URL with several hosts, such as postgres://a:5432,b:5433/db, in
// the form in which lib/pq understands it, and anything else as it is. libpq and pgx
// take both.
func withHosts(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || !strings.Contains(u.Host, ",") {
		return dsn
	}
	var hosts, ports []string
	for one := range strings.SplitSeq(u.Host, ",") {
		host, port, err := net.SplitHostPort(one)
		if err != nil {
			host, port = one, "5432"
		}
		hosts, ports = append(hosts, strings.Trim(host, "[]")), append(ports, port)
	}
	q := u.Query()
	q.Set("host", strings.Join(hosts, ","))
	q.Set("port", strings.Join(ports, ","))
	u.Host, u.RawQuery = "", q.Encode()
	return u.String()
}

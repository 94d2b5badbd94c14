package rabbitmq

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tlsFront ends TLS in front of the broker. It returns an amqps URL and the
// roots that trust it.
func tlsFront(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	identity := httptest.NewTLSServer(nil)
	t.Cleanup(identity.Close)
	roots := x509.NewCertPool()
	roots.AddCert(identity.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: identity.TLS.Certificates})
	require.NoError(t, err)

	backend, backendURL := newProxy(t)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer client.Close()
				server, err := net.Dial("tcp", backend.Addr())
				if err != nil {
					return
				}
				tasks.Go(func() {
					defer client.Close()
					_, _ = io.Copy(client, server)
				})
				defer server.Close()
				_, _ = io.Copy(server, client)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		backend.Cut()
		tasks.Wait()
	})
	u, err := url.Parse(backendURL)
	require.NoError(t, err)
	u.Scheme, u.Host = "amqps", l.Addr().String()
	return u.String(), roots
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	front, roots := tlsFront(t)

	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	p := newPublisher(t, front, WithTLSConfig(cfg))
	require.NoError(t, p.Publish(t.Context(), to(queue, "1")))
	assert.Empty(t, cfg.ServerName, "the caller's configuration is changed")
	assert.Len(t, a.take(queue), 1)

	untrusting := newPublisher(t, front)
	err := untrusting.Publish(t.Context(), to(queue, "2"))
	require.Error(t, err)
	var unknown x509.UnknownAuthorityError
	assert.ErrorAs(t, err, &unknown)
	assert.True(t, entsignal.IsUnavailable(err))
}

func TestTLSHandshakeIsBoundedByTheDialTimeout(t *testing.T) {
	t.Parallel()
	silent, silentURL := newProxy(t)
	silent.SwallowUp.Store(true) // or the broker would hang up on a TLS hello
	u, err := url.Parse(silentURL)
	require.NoError(t, err)
	u.Scheme = "amqps"
	p := newPublisher(t, u.String(), WithDialTimeout(200*time.Millisecond))
	require.ErrorContains(t, inTime(t, start(t, t.Context(), p, to("q", "1"))), "no answer within 200ms")
}

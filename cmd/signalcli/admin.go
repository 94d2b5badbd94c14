package signalcli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/entsignal/signalbus/entsignal/signalweb"
)

// envAdminToken has the token that allows actions on the page. It has no flag, because
// every user of the machine can read a command line.
const envAdminToken = envPrefix + "ADMIN_TOKEN"

// shortToken is a length below which a token is easily guessed.
const shortToken = 16

// adminToken returns the token that the environment or a file has; empty if there is
// none.
func adminToken(lookup func(string) (string, bool), file string) (string, error) {
	token, _ := lookup(envAdminToken)
	if file == "" {
		return token, nil
	}
	if token != "" {
		return "", fmt.Errorf("--admin-token-file and %s can't be combined", envAdminToken)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--admin-token-file: %w", err)
	}
	if token = strings.TrimRight(string(text), "\r\n"); token == "" {
		return "", errors.New("--admin-token-file: the file is empty; expected a token")
	}
	return token, nil
}

// pageOptions returns the options of the page, and warns of a token that is not safe.
func pageOptions(token string, showFields bool, listens string, log *slog.Logger) []signalweb.Option {
	opts := []signalweb.Option{signalweb.WithLogger(log)}
	if showFields {
		opts = append(opts, signalweb.ShowFields())
	}
	if token == "" {
		return opts
	}
	if len(token) < shortToken {
		log.Warn("the admin token is short and may be guessed", "characters", len(token), "expected_at_least", shortToken)
	}
	if host, _, err := net.SplitHostPort(listens); err == nil && !net.ParseIP(host).IsLoopback() {
		log.Warn("the admin token travels unencrypted: put something in front that speaks TLS", "listen", listens)
	}
	return append(opts, signalweb.Token(token))
}

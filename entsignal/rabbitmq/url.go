package rabbitmq

import (
	"errors"
	"net"
	"net/url"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// checkURL describes what is wrong with a broker URL without repeating any of it.
// The errors of url.Parse and amqp.ParseURI contain the password.
func checkURL(raw string) (amqp.URI, error) {
	const want = "; want amqp://user:password@host:port/vhost or amqps://…, " +
		"with / : @ ? # % in user, password and vhost percent-encoded"
	bad := func(text string) (amqp.URI, error) {
		return amqp.URI{}, errors.New("rabbitmq: the broker URL " + text + want)
	}

	if raw == "" {
		return bad("is empty")
	}
	if strings.ContainsAny(raw, " \t\r\n") {
		return bad("contains white space")
	}
	if !strings.HasPrefix(raw, "amqp://") && !strings.HasPrefix(raw, "amqps://") {
		return bad("doesn't begin with amqp:// or amqps://")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return bad("can't be parsed")
	}
	// An unescaped / ? or # in the password ends the host part early. A part of the
	// password would then be taken for the host or the port.
	if u.Fragment != "" || strings.HasSuffix(raw, "#") || hasAtBehindHost(raw) {
		return bad("can't be parsed")
	}
	uri, err := amqp.ParseURI(raw)
	if err != nil {
		return bad("has a port, heartbeat, connection_timeout or channel_max that is not a number in range")
	}
	if uri.Port < 1 || uri.Port > 65535 {
		return bad("has a port out of range")
	}
	for _, mechanism := range uri.AuthMechanism {
		switch strings.ToUpper(mechanism) {
		case "PLAIN", "AMQPLAIN", "EXTERNAL":
		default:
			return bad("has an auth_mechanism other than plain, amqplain and external")
		}
	}
	return uri, nil
}

func hasAtBehindHost(url string) bool {
	_, rest, _ := strings.Cut(url, "://")
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.Contains(rest[end:], "@")
}

// isLocal reports whether host means this machine, judging by its text only.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

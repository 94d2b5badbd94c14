// Package secret hides passwords in texts that people see.
package secret

import (
	"net/url"
	"regexp"
	"strings"
)

// Redact hides the credentials of URLs and database settings in a text. It hides
// nothing else, because operators need the rest of an error. If a URL is malformed,
// the errors of a database driver or an AMQP client quote it with its password.
func Redact(s string) string {
	var b strings.Builder
	for {
		at := scheme.FindStringIndex(s)
		if at == nil {
			break
		}
		end := at[1] + urlLength(s[:at[0]], s[at[0]:at[1]], s[at[1]:])
		b.WriteString(s[:at[0]])
		b.WriteString(redactURL(s[at[0]:at[1]], s[at[1]:end]))
		s = s[end:]
	}
	b.WriteString(s)
	return redactSettings(b.String())
}

var (
	scheme = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)

	// What follows one of these schemes is a path that may hold any character,
	// an address of somebody for example. Every other URL here is that of a
	// database or a broker, which has an @ only behind its credentials.
	webScheme = regexp.MustCompile(`(?i)^(https?|wss?|ftp|file)://$`)

	secretParameter = regexp.MustCompile(`(?i)([?&](?:password|passwd|pwd|sslpassword|token|access_token|api_?key|secret|client_secret)=)[^&#\s"']*`)

	secretSetting = regexp.MustCompile(`(?i)\b(password|passwd|pwd|sslpassword)\s*=\s*('(?:[^'\\\n]|\\.)*'|[^\s&;"']+)`)
	otherSetting  = regexp.MustCompile(`(?i)\b(host|hostaddr|port|user|dbname|database|server|sslmode|uid)\s*=`)

	// mysqlAddress is the beginning of a DSN of go-sql-driver/mysql.
	mysqlAddress = regexp.MustCompile(`[^\s"'` + "`" + `:/@(=]*:[^\s"']*@([a-z0-9]+\()`)
)

// placeholder is the user and the password of the URLs in our own hints.
const placeholder = "user:password"

// urlLength returns how much of rest belongs to the URL that begins with the
// scheme: all up to the closing quote if it is quoted, else up to a space.
func urlLength(before, scheme, rest string) int {
	if quote := before[max(len(before)-1, 0):]; quote == `"` || quote == "'" || quote == "`" {
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case quote[0], '\n':
				return i
			}
		}
		return len(rest)
	}
	end := len(rest)
	if i := strings.IndexAny(rest, " \t\r\n\"'`<>"); i >= 0 {
		end = i
	}
	if webScheme.MatchString(scheme) || strings.Contains(rest[:end], "@") || parses(scheme+rest[:end]) {
		return end
	}
	// No host looks like that: it is a user, and a password with a space.
	line, _, _ := strings.Cut(rest, "\n")
	return max(end, strings.LastIndex(line, "@")+1)
}

func parses(text string) bool {
	_, err := url.Parse(text)
	return err == nil
}

// redactURL hides the credentials of a URL, whose scheme and rest are given.
func redactURL(scheme, rest string) string {
	at := credentialsEnd(scheme, rest)
	if at >= 0 && rest[:at] != placeholder {
		rest = "***" + rest[at:]
	}
	return scheme + secretParameter.ReplaceAllString(rest, "$1***")
}

// credentialsEnd returns where the @ is that ends the credentials of a URL, or
// a negative number if it has none. A password that should have been encoded may
// hold an @, a slash or a question mark itself, so that the last @ counts, unless
// the URL is sure to have it elsewhere.
func credentialsEnd(scheme, rest string) int {
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if parses(scheme+rest) && (webScheme.MatchString(scheme) || !strings.Contains(authority, ":")) {
		return strings.LastIndexByte(authority, '@')
	}
	return strings.LastIndexByte(rest, '@')
}

// redactSettings hides passwords in lists of settings, and in addresses of
// MySQL, line by line.
func redactSettings(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i, line := range lines {
		if otherSetting.MatchString(secretSetting.ReplaceAllString(line, "")) || strings.Contains(line, `"password=`) {
			line = secretSetting.ReplaceAllStringFunc(line, redactSetting)
		}
		lines[i] = mysqlAddress.ReplaceAllString(line, "***@$1")
	}
	return strings.Join(lines, "")
}

func redactSetting(setting string) string {
	name, value, _ := strings.Cut(setting, "=")
	if strings.TrimSpace(value) == "…" { // a hint
		return setting
	}
	return strings.TrimSpace(name) + "=***"
}

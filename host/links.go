package host

import (
	"countersign/host/link"
	"countersign/telemetry"
)

// openLinks prepares both ends of calls between hosts.
func (h *Host) openLinks() {
	h.links = link.NewPool(link.PoolConfig{Trust: h.trust.Bundle, LocalAddr: h.config.Bind, Handshake: h.telemetry.Handshake, Log: h.log})
	h.linked = link.NewServer(link.ServerConfig{Trust: h.trust.Bundle, Replay: h.replay, Find: h.callee, Log: h.log,
		Refused: func(function string, err error) { h.refused(function, telemetry.SideCallee, err) }})
}

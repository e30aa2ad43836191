"use strict";
// The address of the WebSocket is that of the page: a forwarded port is another one than the server's own.
document.addEventListener("DOMContentLoaded", () => {
  const terminal = document.querySelector("#terminal");
  terminal.dataset.sessionWebsocketUrl = new URL("ws", location.href).href.replace(/^http/, "ws");
  terminal.dataset.fontSize = Number.parseInt(new URLSearchParams(location.search).get("fontsize"), 10) || 16;
  document.querySelector("#again").addEventListener("click", () => location.reload());
  // textual.js leaves it to a click to give the terminal the keys, and must be connected before that.
  const waiting = new MutationObserver(() => {
    if (document.body.classList.contains("-loaded")) {
      waiting.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  });
  waiting.observe(document.body, { attributes: true, attributeFilter: ["class"] });
});

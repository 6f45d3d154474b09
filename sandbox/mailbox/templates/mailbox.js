// Renews the list every two seconds while the page is seen, and gives the frame of a mail the height of the mail.
"use strict";

const rows = document.getElementById("rows");
const live = document.getElementById("live");

async function renew() {
  if (document.hidden) return;
  try {
    const answer = await fetch(rows.dataset.source);
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    if (text !== renew.last) {
      const focused = document.activeElement?.getAttribute("href");
      rows.innerHTML = text; // made by our own template, which escapes what came by mail
      if (focused) rows.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    }
    renew.last = text;
    live.className = "";
    live.textContent = "Live";
  } catch {
    live.className = "lost";
    live.textContent = "The mailbox does not answer";
  }
}

if (rows) {
  setInterval(renew, 2000);
  document.addEventListener("visibilitychange", renew);
}

for (const frame of document.querySelectorAll("iframe.html")) {
  const fit = () => {
    const page = frame.contentDocument?.documentElement;
    frame.style.height = "0"; // a page is never measured shorter than its frame
    if (page) frame.style.height = `${Math.max(160, page.scrollHeight)}px`;
  };
  frame.addEventListener("load", fit);
  window.addEventListener("resize", fit);
  fit();
}

// Owns when a page counts as drawn: its script has ended, and as many charts, tables and loaded frames as expected are there,
// none of them left over from before. `heliographDrawn` tells the moment at which that began to hold, in milliseconds on the
// page's clock as it is when that is seen: the time that a frame is given is the one at which it was due, and a frame that waited for
// twelve charts to be drawn was due a second before they were there.
(() => {
  let clicked = 0;
  const loaded = new WeakSet();
  addEventListener('click', () => { clicked = performance.now(); }, true);
  document.addEventListener('load', event => { if (event.target.tagName === 'IFRAME') loaded.add(event.target); }, true);
  const there = (kind, inside) =>
    [...document.querySelectorAll(`[data-testid=${kind}]`)].filter(one => one.querySelector(inside)).length;
  const frames = () => [...document.querySelectorAll('[data-testid=stApp] iframe')].filter(one => loaded.has(one)).length;
  window.heliographCount = () => [there('stPlotlyChart', '.main-svg'), there('stDataFrame', 'canvas'), frames()];
  const whole = (title, things) =>
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && document.querySelector('h1')?.innerText === title
    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton], [data-testid=stAppSkeleton]')
    && (things === null || window.heliographCount().join() === things.join());
  window.heliographDrawn = (title, things, quiet, patience) => new Promise((done, failed) => {
    let since = null;
    const look = () => {
      const now = performance.now();
      if (now - clicked > patience) {
        return failed(new Error(`"${title}" was not drawn: ${document.querySelector('h1')?.innerText}, ${window.heliographCount()}`));
      }
      if (!whole(title, things)) since = null;
      else if (since === null) since = now;
      else if (now - since > quiet) return done(since - clicked);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
})();

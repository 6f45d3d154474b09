// Owns when a page counts as drawn: its script has ended, and as many charts and tables as expected are there, none of them
// left over from before. `heliographDrawn` tells the moment at which that began to hold, in milliseconds on the page's clock.
(() => {
  let clicked = 0;
  addEventListener('click', () => { clicked = performance.now(); }, true);
  const there = (kind, inside) =>
    [...document.querySelectorAll(`[data-testid=${kind}]`)].filter(one => one.querySelector(inside)).length;
  window.heliographCount = () => [there('stPlotlyChart', '.main-svg'), there('stDataFrame', 'canvas')];
  const whole = (title, charts, tables) =>
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && document.querySelector('h1')?.innerText === title
    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton], [data-testid=stAppSkeleton]')
    && (charts === null || window.heliographCount().join() === [charts, tables].join());
  window.heliographDrawn = (title, charts, tables, quiet, patience) => new Promise((done, failed) => {
    let since = null;
    const look = now => {
      if (now - clicked > patience) {
        return failed(new Error(`"${title}" was not drawn: ${document.querySelector('h1')?.innerText}, ${window.heliographCount()}`));
      }
      if (!whole(title, charts, tables)) since = null;
      else if (since === null) since = now;
      else if (now - since > quiet) return done(since - clicked);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
})();

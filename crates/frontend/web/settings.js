// The settings that the frontend writes into the page.

const { dataset } = document.getElementById("page");

/** The highest frequency that a visitor may request. */
export const MAX_RATE = Number(dataset.maxRate);

/** The number of reports that the frontend sends in a second. */
export const REPORTS_PER_SECOND = Number(dataset.reportsPerSecond);

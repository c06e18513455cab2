/** The notification that tells a page what happens. */
export const eventMethod = "dashboard.event"
